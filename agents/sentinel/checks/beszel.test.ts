import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './beszel.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_BESZEL'] = 'beszel-test-password';
const login = { user: 'lares@example.org', password: { env: 'LARES_TEST_BESZEL' } };
const now = Date.parse('2026-11-20T12:00:00Z');
afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> =>
  check.observe(check.options.parse(given), checkContext({ clock: createVirtualClock(now) }));

const system = (name: string, more: object = {}) => ({
  id: `id-${name}`,
  name,
  host: '10.0.0.7',
  status: 'up',
  updated: '2026-11-20 11:59:30.000Z',
  info: { cpu: 12, mp: 40, dp: 50, sv: [60, 0] },
  ...more,
});

const filters = new Set(['health=3', "state='FAILED'||state='WARNING'"]);

/** A collection that is not there and a filter that names no field are refused; a junk token sees nothing. */
function recordsOf(of: {
  path: string;
  filter: string | null;
  collections: Record<string, object[]>;
  isGood: boolean;
}) {
  const [, name = ''] = /^\/api\/collections\/(\w+)\/records$/.exec(of.path) ?? [];
  const items = of.collections[name];
  if (items === undefined) return { status: 404, body: { status: 404, message: 'Missing collection context.' } };
  if (of.filter !== null && !filters.has(of.filter)) return { status: 400, body: { message: 'Invalid filter.' } };
  const shown = of.isGood ? items : [];
  return { body: { page: 1, perPage: 200, totalItems: shown.length, totalPages: 1, items: shown } };
}

/** The hub as PocketBase answers: a junk token gets 200 and an empty list. */
function hub(items: object[], sick: Record<string, object[]> = {}) {
  const state = { good: new Set<string>(), logins: 0 };
  const answer = ({ path, body, headers, query }: ApiRequest) => {
    if (path === '/api/health') return { body: { message: 'API is healthy.', code: 200, data: {} } };
    const isGood = state.good.has(headers.authorization ?? '');
    if (path === '/api/collections/users/auth-with-password') {
      state.logins += 1;
      const { password } = JSON.parse(body) as { password: string };
      if (password !== 'beszel-test-password') return { status: 400, body: { message: 'Failed to authenticate.' } };
      state.good.add(`token${state.logins}`);
      return { body: { token: `token${state.logins}`, record: {} } };
    }
    if (path === '/api/collections/users/auth-refresh')
      return isGood ? { body: { token: headers.authorization } } : { status: 401 };
    return recordsOf({ path, filter: query.get('filter'), collections: { ...sick, systems: items }, isGood });
  };
  return { answer, state };
}

describe('Beszel', () => {
  test('is looked at with one login, and a token that ended is made anew', async () => {
    const { answer, state } = hub([system('pve1')]);
    await using api = await startFakeApi(answer);
    const given = { url: api.url, ...login };
    await look(given);
    expect(words(await look(given))).toEqual([
      'beszel-down beszel ok',
      'system-down systems ok',
      'system-down pve1 ok',
      'system-disk-full pve1 level',
      'system-services-failed pve1 ok',
    ]);
    expect(state.logins).toBe(1);
    state.good.clear();
    expect(words(await look(given))).toContain('system-down pve1 ok');
    expect(state.logins).toBe(2);
  });

  test('that shows an empty list is unknown, never well', async () => {
    await using api = await startFakeApi(hub([]).answer);
    expect(words(await look({ url: api.url, ...login })).at(-1)).toBe('system-down systems unknown');
  });

  test('tells systems that are down, silent, full, paused or have failed services', async () => {
    const items = [
      system('down', { status: 'down' }),
      system('silent', { updated: '2026-11-20 11:00:00.000Z' }),
      system('full', { info: { dp: 97, sv: [60, 2] } }),
      system('paused', { status: 'paused' }),
    ];
    await using api = await startFakeApi(hub(items).answer);
    const found = await look({ url: api.url, ...login });
    expect(words(found).slice(2)).toEqual([
      'system-down down critical',
      'system-down silent unknown',
      'system-down full ok',
      'system-disk-full full level',
      'system-services-failed full warning',
      'system-down paused asleep',
    ]);
    const options = check.options.parse({ url: api.url, ...login });
    const [evidence] = await check.evidence.gather(options, checkContext(), found[4] as Observation);
    expect(evidence?.lines).toEqual(['up at 10.0.0.7', 'disk 97 %']);
  });

  test('tells further filesystems, unhealthy containers and failing disks of the systems that are watched', async () => {
    const items = [system('nas', { info: { dp: 40, efs: { tank: 96 } } }), system('old')];
    const sick = {
      containers: [
        { system: 'id-nas', name: 'immich', status: 'Up 3 hours (unhealthy)', health: 3 },
        { system: 'id-old', name: 'left-out', status: '', health: 3 },
      ],
      smart_devices: [
        { system: 'id-nas', name: '/dev/sdb', model: 'WDC WD40', state: 'FAILED' },
        { system: 'id-nas', name: '/dev/mmcblk0', model: '', state: 'WARNING' },
      ],
    };
    await using api = await startFakeApi(hub(items, sick).answer);
    const found = await look({ url: api.url, ...login, ignore: ['old'] });
    expect(problems(found)).toEqual([
      'critical system-disk-full: tank of nas is 96 % full',
      'warning container-unhealthy: the container immich on nas is not healthy, says Beszel: Up 3 hours (unhealthy)',
      'critical disk-failing: the disk /dev/sdb (WDC WD40) of nas says of its health: FAILED',
      'warning disk-failing: the disk /dev/mmcblk0 (unknown) of nas says of its health: WARNING',
    ]);
    // No playbook restarts a container of this name on the host of the hub.
    const own = found.filter(({ condition }) => condition === 'container-unhealthy' || condition === 'disk-failing');
    expect(own.every(({ foreign }) => foreign === true)).toBe(true);
  });

  test('that refuses the password is unknown inside and asked once for minutes', async () => {
    const { answer, state } = hub([system('pve1')]);
    await using api = await startFakeApi(answer);
    const wrong = { url: api.url, user: 'other@example.org', password: { env: 'HOME' } };
    expect(words(await look(wrong))).toEqual(['beszel-down beszel ok', 'system-down systems unknown']);
    await look(wrong);
    expect(state.logins).toBe(1);
  });
});
