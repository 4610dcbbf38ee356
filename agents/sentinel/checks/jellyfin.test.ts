import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './jellyfin.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_JELLYFIN'] = 'jellyfin-test-key';
const token = { env: 'LARES_TEST_JELLYFIN' };
afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> => check.observe(check.options.parse(given), checkContext());

const scan = {
  Name: 'Scan Media Library',
  LastExecutionResult: { Status: 'Failed', EndTimeUtc: '2026-11-20T03:00:00Z', ErrorMessage: 'Disk is gone' },
};

/** Jellyfin 10.10 behind its own address. */
function jellyfin(of: { health?: string; pending?: boolean; tasks?: object[] } = {}) {
  return ({ path, headers }: ApiRequest) => {
    if (path === '/health') return { status: of.health === 'Unhealthy' ? 503 : 200, body: of.health ?? 'Healthy' };
    if (headers['x-emby-token'] !== 'jellyfin-test-key') return { status: 401, body: '' };
    if (path === '/System/Info') return { body: { HasPendingRestart: of.pending ?? false, Version: '10.10.3' } };
    return path === '/ScheduledTasks'
      ? { body: of.tasks ?? [{ Name: 'Clean Cache', LastExecutionResult: null }] }
      : undefined;
  };
}

describe('Jellyfin', () => {
  test('that is healthy is well, with a key and without', async () => {
    await using api = await startFakeApi(jellyfin());
    expect(words(await look({ url: api.url }))).toEqual(['jellyfin-down jellyfin ok']);
    expect(words(await look({ url: api.url, token }))).toEqual([
      'jellyfin-down jellyfin ok',
      'jellyfin-restart-pending jellyfin ok',
      'jellyfin-task-failed tasks ok',
    ]);
  });

  test('that says Unhealthy is down; a start page in its place is unknown', async () => {
    await using sick = await startFakeApi(jellyfin({ health: 'Unhealthy' }));
    expect(words(await look({ url: sick.url }))).toEqual(['jellyfin-down jellyfin critical']);
    await using starting = await startFakeApi(jellyfin({ health: '<html>Jellyfin is starting</html>' }));
    expect(words(await look({ url: starting.url }))).toEqual(['jellyfin-down jellyfin unknown']);
  });

  test('tells failed tasks by name and a restart that waits, with all results as evidence', async () => {
    await using api = await startFakeApi(jellyfin({ pending: true, tasks: [scan] }));
    const found = await look({ url: api.url, token });
    expect(words(found)).toEqual([
      'jellyfin-down jellyfin ok',
      'jellyfin-restart-pending jellyfin info',
      'jellyfin-task-failed tasks ok',
      'jellyfin-task-failed Scan Media Library warning',
    ]);
    expect(found.at(-1)?.summary).toBe('task "Scan Media Library" of Jellyfin failed: Disk is gone');
    const options = check.options.parse({ url: api.url, token });
    const [evidence] = await check.evidence.gather(options, checkContext(), found[0] as Observation);
    expect(evidence?.lines).toEqual(['2026-11-20T03:00:00Z Failed Scan Media Library Disk is gone']);
    expect(await look({ url: api.url, token, ignoreTasks: ['Scan Media Library'] })).toHaveLength(3);
  });

  test('with another key is unknown inside, and nothing there is well', async () => {
    await using api = await startFakeApi(jellyfin());
    expect(words(await look({ url: api.url, token: { env: 'HOME' } }))).toEqual([
      'jellyfin-down jellyfin ok',
      'jellyfin-restart-pending jellyfin unknown',
      'jellyfin-task-failed tasks unknown',
    ]);
  });
});
