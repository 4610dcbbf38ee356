import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { check } from './semaphore.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_SEMAPHORE'] = 'SemaphoreTestToken';
const token = { env: 'LARES_TEST_SEMAPHORE' };
const now = Date.parse('2026-11-20T12:00:00Z');
afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> =>
  check.observe(check.options.parse(given), checkContext({ clock: createVirtualClock(now) }));
const badOnes = (found: Observation[]): string[] =>
  found.flatMap(({ summary, reading }) => (reading.is === 'state' && !reading.ok ? [summary] : []));

const template = (id: number, name: string, task?: object) => ({
  id,
  name,
  playbook: `${name}.yml`,
  last_task: task ?? null,
});

/** Semaphore 2.10: ping without a login, tokens compared in small letters. */
function semaphore(templates: object[]) {
  return ({ path, headers }: ApiRequest) => {
    if (path === '/api/ping') return { body: 'pong' };
    if (headers.authorization !== 'Bearer semaphoretesttoken') return { status: 401, body: '' };
    if (path === '/api/projects') return { body: [{ id: 1, name: 'homelab' }] };
    if (path === '/api/project/1/templates') return { body: templates };
    if (path === '/api/project/1/tasks/42/output') {
      return { body: [{ task_id: 42, time: 'x', output: '\u001b[0;31mfatal: [ct101]: UNREACHABLE!\u001b[0m' }] };
    }
    return undefined;
  };
}

describe('Semaphore', () => {
  test('whose last tasks went well is well; templates that never ran say nothing', async () => {
    const well = { id: 41, status: 'success', start: '2026-11-20T08:00:00Z', end: '2026-11-20T08:01:00Z' };
    await using api = await startFakeApi(semaphore([template(1, 'patch', well), template(2, 'new')]));
    const found = await look({ url: api.url, token });
    expect(badOnes(found)).toEqual([]);
    expect(found.map(({ resource }) => resource)).toEqual([
      'semaphore',
      'project homelab',
      'homelab/patch',
      'homelab/patch',
      'homelab/patch',
    ]);
  });

  test('tells a task that failed, with its output, one that hangs and one that waits', async () => {
    await using api = await startFakeApi(
      semaphore([
        template(1, 'patch', { id: 42, status: 'error' }),
        template(2, 'backup', { id: 43, status: 'running', start: '2026-11-20T08:30:00Z' }),
        template(3, 'reboot', { id: 44, status: 'waiting_confirmation' }),
      ]),
    );
    const found = await look({ url: api.url, token });
    expect(badOnes(found)).toEqual([
      'the last task of patch failed',
      'backup has been running for 3h30m',
      'reboot waits for a confirmation',
    ]);
    const failed = found.find(({ summary }) => summary === 'the last task of patch failed');
    // The next run that fails is the same trouble: the number of the task is none of its labels.
    expect(failed?.labels).toEqual({ project: '1', template: '1' });
    const options = check.options.parse({ url: api.url, token });
    const [evidence] = await check.evidence.gather(options, checkContext(), failed as Observation);
    expect(evidence?.lines).toEqual(['fatal: [ct101]: UNREACHABLE!']);
    expect(badOnes(await look({ url: api.url, token, ignoreTemplates: ['patch', 'backup', 'reboot'] }))).toEqual([]);
  });

  test('with another token is unknown in its tasks', async () => {
    await using api = await startFakeApi(semaphore([]));
    const [there, tasks] = await look({ url: api.url, token: { env: 'HOME' } });
    expect(there?.reading).toMatchObject({ ok: true });
    expect(tasks?.reading).toMatchObject({ is: 'unknown' });
  });
});
