import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './unifi.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_UNIFI'] = 'unifi-test-password';
const login = { user: 'lares', password: { env: 'LARES_TEST_UNIFI' } };
afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> => check.observe(check.options.parse(given), checkContext());

const device = (name: string, state: number, more: object = {}) => ({
  name,
  mac: '00:11:22:33:44:55',
  model: 'U6-Lite',
  state,
  uptime: 7_200,
  'system-stats': { cpu: '2.1', mem: '40.5' },
  ...more,
});

interface Controller {
  devices?: object[];
  health?: object[];
  rc?: string;
}

/** The classic controller and UniFi OS: a cookie, and envelopes whose `rc` tells. */
function controller(of: Controller = {}) {
  const state = { sessions: new Set<string>(), logins: 0 };
  const signIn = ({ path, body }: ApiRequest) => {
    state.logins += 1;
    const { password } = JSON.parse(body) as { password: string };
    if (password !== 'unifi-test-password')
      return { status: 400, body: { meta: { rc: 'error', msg: 'api.err.Invalid' } } };
    state.sessions.add(`s${state.logins}`);
    const name = path === '/api/login' ? 'unifises' : 'TOKEN';
    return { body: {}, headers: { 'set-cookie': `${name}=s${state.logins}; Path=/; Secure; HttpOnly` } };
  };
  const answer = (request: ApiRequest) => {
    const { path, headers } = request;
    if (path === '/') return { body: '<html>UniFi OS</html>' };
    if (path === '/status') return { body: { meta: { rc: 'ok', up: true, server_version: '9.0.114' }, data: [] } };
    if (path === '/api/login' || path === '/api/auth/login') return signIn(request);
    const id = /(?:unifises|TOKEN)=(\w+)/.exec(headers.cookie ?? '')?.[1] ?? '';
    return state.sessions.has(id)
      ? inside(of, path)
      : { status: 401, body: { meta: { rc: 'error', msg: 'api.err.LoginRequired' } } };
  };
  return { answer, state };
}

function inside({ devices, health, rc }: Controller, path: string) {
  const meta = rc === undefined ? { rc: 'ok' } : { rc, msg: 'api.err.NoSiteContext' };
  if (path.endsWith('/stat/device')) return { body: { meta, data: devices ?? [device('AP attic', 1)] } };
  const usual = [
    { subsystem: 'wlan', status: 'ok' },
    { subsystem: 'vpn', status: 'unknown' },
  ];
  return path.endsWith('/stat/health') ? { body: { meta, data: health ?? usual } } : undefined;
}

describe.each(['controller', 'os'] as const)('UniFi (%s)', (system) => {
  test('that is well says so with one login for many looks', async () => {
    const { answer, state } = controller();
    await using api = await startFakeApi(answer);
    const given = { url: api.url, system, ...login };
    await look(given);
    expect(words(await look(given))).toEqual([
      'unifi-down unifi ok',
      'device-offline devices ok',
      'device-offline AP attic ok',
      'device-hot AP attic ok',
      'device-memory-low AP attic level',
      'subsystem-unwell wlan ok',
    ]);
    expect(state.logins).toBe(1);
    state.sessions.clear();
    expect(words(await look(given))).toContain('device-offline AP attic ok');
    expect(state.logins).toBe(2);
  });

  test('tells devices and subsystems that are not well; an update is no fault', async () => {
    const devices = [device('AP attic', 0), device('AP hall', 4), device('Switch', 1, { overheating: true })];
    const { answer } = controller({ devices, health: [{ subsystem: 'wan', status: 'error' }] });
    await using api = await startFakeApi(answer);
    const found = await look({ url: api.url, system, ...login });
    expect(words(found).filter((word) => word.endsWith('critical'))).toEqual([
      'device-offline AP attic critical',
      'device-hot Switch critical',
      'subsystem-unwell wan critical',
    ]);
    const options = check.options.parse({ url: api.url, system, ...login });
    const [evidence] = await check.evidence.gather(options, checkContext(), found[0] as Observation);
    expect(evidence?.lines[0]).toBe('AP attic (U6-Lite) is offline, up 2 h');
  });

  test('that refuses the password is asked once for minutes, so that the user is not locked out', async () => {
    const { answer, state } = controller();
    await using api = await startFakeApi(answer);
    const wrong = { url: api.url, system, user: 'other', password: { env: 'HOME' } };
    expect(words(await look(wrong))).toEqual(['unifi-down unifi ok', 'device-offline devices unknown']);
    await look(wrong);
    expect(state.logins).toBe(1);
  });

  test('that shows no device to the user is unknown', async () => {
    await using api = await startFakeApi(controller({ devices: [] }).answer);
    expect(words(await look({ url: api.url, system, ...login }))).toEqual([
      'unifi-down unifi ok',
      'device-offline devices unknown',
    ]);
  });

  test('that answers 200 with an error inside is unknown', async () => {
    await using api = await startFakeApi(controller({ rc: 'error' }).answer);
    const found = await look({ url: api.url, system, ...login });
    expect(found.at(-1)?.reading).toEqual({ is: 'unknown', reason: 'it says api.err.NoSiteContext' });
  });
});
