import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './authentik.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_AUTHENTIK'] = 'authentik-test-token';
const token = { env: 'LARES_TEST_AUTHENTIK' };
const now = Date.parse('2026-11-20T12:00:00Z');
afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> =>
  check.observe(check.options.parse(given), checkContext({ clock: createVirtualClock(now) }));

const failure = (address: string, created = '2026-11-20T11:58:00Z') => ({
  action: 'login_failed',
  client_ip: address,
  created,
});

function authentik(of: { ready?: number; events?: object[]; lastSeen?: string } = {}) {
  return ({ path, headers }: ApiRequest) => {
    if (path === '/-/health/ready/') return { status: of.ready ?? 200, body: '' };
    if (headers.authorization !== 'Bearer authentik-test-token')
      return { status: 403, body: { detail: 'Token invalid/expired' } };
    if (path === '/api/v3/events/events/') return { body: { pagination: {}, results: of.events ?? [] } };
    if (path === '/api/v3/outposts/instances/') return { body: { results: [{ pk: 'a-b', name: 'embedded' }] } };
    if (path !== '/api/v3/outposts/instances/a-b/health/') return undefined;
    return { body: [{ last_seen: of.lastSeen ?? '2026-11-20T11:59:50Z', version_outdated: false }] };
  };
}

describe('authentik', () => {
  test.each([200, 204])('that answers %i is ready', async (ready) => {
    await using api = await startFakeApi(authentik({ ready }));
    expect(words(await look({ url: api.url }))).toEqual(['authentik-down authentik ok']);
    expect(words(await look({ url: api.url, token }))).toEqual([
      'authentik-down authentik ok',
      'login-failures logins ok',
      'authentik-outpost-silent outposts ok',
      'authentik-outpost-silent embedded ok',
    ]);
  });

  test('without its database is down', async () => {
    await using api = await startFakeApi(authentik({ ready: 503 }));
    expect(words(await look({ url: api.url, token }))).toEqual(['authentik-down authentik critical']);
  });

  test('tells an address with many failed logins within five minutes', async () => {
    const many = Array.from({ length: 11 }, () => failure('203.0.113.50'));
    const old = Array.from({ length: 50 }, () => failure('203.0.113.51', '2026-11-20T10:00:00Z'));
    await using api = await startFakeApi(authentik({ events: [...many, failure('10.0.0.2'), ...old] }));
    const found = await look({ url: api.url, token });
    expect(words(found)).toContain('login-failures 203.0.113.50 warning');
    expect(words(found).filter((word) => word.includes('203.0.113.51'))).toEqual([]);
    const [evidence] = await check.evidence.gather(
      check.options.parse({ url: api.url, token }),
      checkContext(),
      found[0] as Observation,
    );
    expect(evidence?.lines.at(-1)).toBe('2026-11-20T11:58:00Z 203.0.113.50');
  });

  test('tells an outpost that is silent', async () => {
    await using api = await startFakeApi(authentik({ lastSeen: '2026-11-20T11:00:00Z' }));
    expect(words(await look({ url: api.url, token }))).toContain('authentik-outpost-silent embedded warning');
  });

  test('with a token that ended is unknown inside', async () => {
    await using api = await startFakeApi(authentik());
    expect(words(await look({ url: api.url, token: { env: 'HOME' } })).slice(1)).toEqual([
      'login-failures logins unknown',
      'authentik-outpost-silent outposts unknown',
    ]);
  });
});
