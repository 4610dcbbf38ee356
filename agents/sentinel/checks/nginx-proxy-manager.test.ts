import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './nginx-proxy-manager.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_NPM'] = 'npm-test-password';
const login = { user: 'lares@example.org', password: { env: 'LARES_TEST_NPM' } };
const now = Date.parse('2026-11-20T12:00:00Z');
afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> =>
  check.observe(check.options.parse(given), checkContext({ clock: createVirtualClock(now) }));

const host = (name: string, meta: object = { nginx_online: true, nginx_err: null }, enabled: unknown = 1) => ({
  id: 1,
  domain_names: [name],
  forward_host: '10.0.0.9',
  forward_port: 80,
  enabled,
  meta,
});
const certificate = (name: string, expires: string) => ({
  id: 1,
  provider: 'letsencrypt',
  nice_name: name,
  domain_names: [name],
  expires_on: expires,
});

/** Nginx Proxy Manager 2.12 as it answers an ordinary user. */
function manager(of: { hosts?: object[]; certificates?: object[] } = {}) {
  const state = { logins: 0 };
  const answer = ({ path, body, headers }: ApiRequest) => {
    if (path === '/api/') return { body: { status: 'OK', setup: true, version: { major: 2, minor: 12, revision: 3 } } };
    if (path === '/api/tokens') {
      state.logins += 1;
      const given = JSON.parse(body) as { secret: string };
      if (given.secret !== 'npm-test-password')
        return { status: 401, body: { error: { message: 'Invalid email or password' } } };
      return { body: { token: 'npm-session', expires: '2026-11-21T12:00:00.000Z' } };
    }
    if (headers.authorization !== 'Bearer npm-session') return { status: 401, body: {} };
    if (path === '/api/nginx/proxy-hosts') return { body: of.hosts ?? [host('shop.example')] };
    return path === '/api/nginx/certificates' ? { body: of.certificates ?? [] } : undefined;
  };
  return { answer, state };
}

describe('Nginx Proxy Manager', () => {
  test('is looked into with one login for many looks', async () => {
    const { answer, state } = manager();
    await using api = await startFakeApi(answer);
    expect(words(await look({ url: api.url, ...login }))).toEqual([
      'nginx-proxy-manager-down nginx-proxy-manager ok',
      'proxy-host-failed hosts ok',
      'certificate-expiring certificates ok',
    ]);
    await look({ url: api.url, ...login });
    expect(state.logins).toBe(1);
  });

  test('that shows no host to a user is unknown in them', async () => {
    await using api = await startFakeApi(manager({ hosts: [] }).answer);
    expect(words(await look({ url: api.url, ...login }))).toContain('proxy-host-failed hosts unknown');
  });

  test('tells enabled hosts that nginx refused, with its reason', async () => {
    const broken = { nginx_online: false, nginx_err: 'host not found in upstream "shop"' };
    const { answer } = manager({ hosts: [host('shop.example', broken), host('old.example', broken, 0)] });
    await using api = await startFakeApi(answer);
    const found = await look({ url: api.url, ...login });
    expect(words(found)).toContain('proxy-host-failed shop.example critical');
    expect(words(found).join()).not.toContain('old.example');
    expect(found[2]?.summary).toBe('nginx refused the host shop.example: host not found in upstream "shop"');
    const options = check.options.parse({ url: api.url, ...login });
    const evidence = await check.evidence.gather(options, checkContext(), found[0] as Observation);
    expect(evidence[0]?.lines[0]).toBe('shop.example to 10.0.0.9:80: host not found in upstream "shop"');
  });

  test('tells certificates that were not renewed, in both spellings of time', async () => {
    const certificates = [
      certificate('a.example', '2026-11-22 12:00:00'),
      certificate('b.example', '2027-02-01T00:00:00.000Z'),
    ];
    const { answer } = manager({ certificates });
    await using api = await startFakeApi(answer);
    const found = await look({ url: api.url, ...login });
    expect(found.slice(-2).map(({ summary }) => summary)).toEqual([
      'the certificate a.example ends in 2 d',
      'the certificate b.example ends in 72 d',
    ]);
  });

  test('that refuses the password is unknown inside and asked once for minutes', async () => {
    const { answer, state } = manager();
    await using api = await startFakeApi(answer);
    const wrong = { user: 'other@example.org', password: { env: 'HOME' } };
    expect(words(await look({ url: api.url, ...wrong }))).toEqual([
      'nginx-proxy-manager-down nginx-proxy-manager ok',
      'proxy-host-failed hosts unknown',
    ]);
    await look({ url: api.url, ...wrong });
    expect(state.logins).toBe(1);
  });
});
