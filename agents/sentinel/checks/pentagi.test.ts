import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './pentagi.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_PENTAGI'] = 'pentagi-test-token';
const token = { env: 'LARES_TEST_PENTAGI' };
const now = Date.parse('2026-11-20T12:00:00Z');
afterEach(closeHttpAgents);

const look = (given: object, at = now): Promise<Observation[]> =>
  check.observe(check.options.parse(given), checkContext({ clock: createVirtualClock(at) }));

const flow = (id: number, status: string, updated = '2026-11-20T11:30:00Z') => ({
  id,
  status,
  title: `Scan ${id}`,
  model: 'x',
  user_id: 1,
  created_at: '2026-11-20T01:00:00Z',
  updated_at: updated,
});

/** PentAGI 2026: info for everybody, lists only with `page` and `type`, 403 for a token that is not good. */
function pentagi(flows: ReturnType<typeof flow>[] | null) {
  return ({ path, query, headers, method }: ApiRequest) => {
    if (method !== 'GET') throw new Error(`a look writes: ${method} ${path}`);
    if (path === '/api/v1/info') return { body: { status: 'success', data: { type: 'guest' } } };
    if (headers.authorization !== 'Bearer pentagi-test-token') return { status: 403, body: { status: 'error' } };
    const one = flows?.find(({ id }) => path === `/api/v1/flows/${id}`);
    if (one !== undefined) return { body: { status: 'success', data: one } };
    if (query.get('page') !== '1' || query.get('type') !== 'page') return { status: 400, body: { status: 'error' } };
    if (path === '/api/v1/flows/') return { body: { status: 'success', data: { flows, total: flows?.length ?? 0 } } };
    const tasks = [
      { id: 2, title: 'Report', status: 'failed' },
      { id: 1, title: 'Scan ports', status: 'finished' },
    ];
    return path.endsWith('/tasks/') ? { body: { status: 'success', data: { tasks, total: 2 } } } : undefined;
  };
}

describe('PentAGI', () => {
  test('without flows is well, without a token only whether it answers is looked at', async () => {
    await using api = await startFakeApi(pentagi(null));
    expect(words(await look({ url: api.url, token }))).toEqual(['pentagi-down pentagi ok', 'flow-failed flows ok']);
    expect(words(await look({ url: api.url }))).toEqual(['pentagi-down pentagi ok']);
  });

  test('tells flows that failed, wait for a person, are finished or hang, and leaves old ones alone', async () => {
    const flows = [
      flow(6, 'running'),
      flow(5, 'failed'),
      flow(4, 'waiting'),
      flow(3, 'finished'),
      flow(2, 'running', '2026-11-19T20:00:00Z'),
      flow(1, 'failed', '2026-11-01T00:00:00Z'),
    ];
    await using api = await startFakeApi(pentagi(flows));
    const found = await look({ url: api.url, token });
    expect(problems(found)).toEqual([
      'warning flow-failed: the flow 5 Scan 5 failed',
      'info flow-waits: the flow 4 Scan 4 waits for a person',
      'info flow-finished: the flow 3 Scan 3 is finished, its report can be read',
      'warning flow-hangs: the flow 2 Scan 2 is running, without a change for 16h',
    ]);
    expect(found[1]?.summary).toBe('looked at 6 flows: 2 running, 2 failed, 1 waiting, 1 finished');
    const options = check.options.parse({ url: api.url, token });
    const [evidence] = await check.evidence.gather(options, checkContext(), found[3] as Observation);
    expect(evidence?.lines).toEqual(['finished: Scan ports', 'failed: Report']);
  });

  test('is asked for one flow where that is wished', async () => {
    await using api = await startFakeApi(pentagi([flow(5, 'failed'), flow(4, 'failed')]));
    expect(problems(await look({ url: api.url, token, flow: 4 }))).toEqual([
      'warning flow-failed: the flow 4 Scan 4 failed',
    ]);
    expect(words(await look({ url: api.url, token, flow: 99 }))).toContain('flow-failed flows unknown');
  });

  test('that refuses the token is unknown in its flows', async () => {
    await using api = await startFakeApi(pentagi([]));
    expect(words(await look({ url: api.url, token: { env: 'HOME' } }))).toContain('flow-failed flows unknown');
  });
});
