import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './patchmon.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_PATCHMON'] = 'patchmon-test-secret';
const login = { tokenKey: 'patchmon_ae_key', tokenSecret: { env: 'LARES_TEST_PATCHMON' } };
const now = Date.parse('2026-11-20T12:00:00Z');
const day = 86_400_000;
afterEach(closeHttpAgents);

function watcher(given: object): (at?: number) => Promise<Observation[]> {
  const options = check.options.parse(given);
  const context = checkContext();
  return (at = now) => check.observe(options, { ...context, clock: createVirtualClock(at) });
}

const host = (name: string, more: object = {}) => ({
  id: `id-${name}`,
  friendly_name: name,
  hostname: `${name}.home.arpa`,
  last_update: '2026-11-20T11:30:00Z',
  status: 'active',
  reporting_state: 'reporting',
  update_state: 'up_to_date',
  updates_count: 0,
  security_updates_count: 0,
  total_packages: 900,
  needs_reboot: false,
  ...more,
});

/** PatchMon 2026: health for everybody, hosts with `token_key:token_secret`. */
function patchmon(house: { hosts: object[]; isIll?: boolean }) {
  const good = `Basic ${Buffer.from('patchmon_ae_key:patchmon-test-secret').toString('base64')}`;
  return ({ path, query, headers }: ApiRequest) => {
    if (path === '/health') return house.isIll ? { status: 503, body: 'unhealthy' } : { body: 'healthy' };
    if (headers.authorization !== good) return { status: 401, body: { error: 'Invalid API credentials' } };
    if (path === '/api/v1/api/hosts') {
      const hosts = query.get('hostgroup') === 'none' ? [] : house.hosts;
      return { body: { hosts, total: hosts.length } };
    }
    if (path !== '/api/v1/api/hosts/id-web/packages') return undefined;
    const openssl = { name: 'openssl', current_version: '3.0.1', available_version: '3.0.2', is_security_update: true };
    return { body: { packages: [openssl, { ...openssl, name: 'vim', is_security_update: false }] } };
  };
}

describe('PatchMon', () => {
  test('whose hosts are patched is well, and says how many', async () => {
    await using api = await startFakeApi(patchmon({ hosts: [host('web'), host('db')] }));
    const found = await watcher({ url: api.url, ...login })();
    expect(problems(found)).toEqual([]);
    expect(found.map(({ summary }) => summary)).toContain('PatchMon knows 2 hosts');
    expect(found.length).toBe(8);
  });

  test('tells security updates with the age that Lares has seen, which ends with the last of them', async () => {
    const house = { hosts: [host('web', { updates_count: 5, security_updates_count: 2 })] };
    await using api = await startFakeApi(patchmon(house));
    const look = watcher({ url: api.url, ...login });
    const told = async (days: number): Promise<string[]> => problems(await look(now + days * day));
    expect(await told(0)).toEqual(['info security-updates: web waits for 2 security updates and 3 others']);
    expect(await told(4)).toEqual([
      'warning security-updates: web waits for 2 security updates for 4 days and 3 others',
    ]);
    const old = await look(now + 14 * day);
    expect(problems(old)[0]).toMatch(/^critical .* for 14 days/);
    const options = check.options.parse({ url: api.url, ...login });
    const [evidence] = await check.evidence.gather(options, checkContext(), old[3] as Observation);
    expect(evidence?.lines).toEqual(['vim 3.0.1 to 3.0.2', 'security openssl 3.0.1 to 3.0.2']);
    house.hosts = [host('web')];
    expect(await told(15)).toEqual([]);
    house.hosts = [host('web', { updates_count: 1, security_updates_count: 1 })];
    expect((await told(16))[0]).toMatch(/^info/);
  });

  test('tells hosts that need a reboot, and agents that are overdue or stale', async () => {
    const hosts = [
      host('web', { needs_reboot: true }),
      host('db', { reporting_state: 'overdue' }),
      host('nas', { reporting_state: 'stale' }),
    ];
    await using api = await startFakeApi(patchmon({ hosts }));
    expect(problems(await watcher({ url: api.url, ...login })())).toEqual([
      'warning reboot-required: web needs a reboot',
      'warning host-not-reporting: the agent of db is overdue, its last report came at 2026-11-20T11:30:00Z',
      'critical host-not-reporting: the agent of nas is stale, its last report came at 2026-11-20T11:30:00Z',
    ]);
    expect(problems(await watcher({ url: api.url, ...login, ignore: ['*'] })())).toEqual([]);
  });

  test('without its database is critical; without a host to show, or with another secret, unknown', async () => {
    const house = { hosts: [host('web')], isIll: true };
    await using api = await startFakeApi(patchmon(house));
    expect(words(await watcher({ url: api.url, ...login })())).toEqual(['patchmon-down patchmon critical']);
    house.isIll = false;
    const unknown = ['patchmon-down patchmon ok', 'security-updates hosts unknown'];
    expect(words(await watcher({ url: api.url, ...login, groups: ['none'] })())).toEqual(unknown);
    expect(words(await watcher({ url: api.url, ...login, tokenSecret: { env: 'HOME' } })())).toEqual(unknown);
  });
});
