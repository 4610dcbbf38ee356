import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './technitium.ts';

process.env['LARES_TEST_TECHNITIUM'] = 'technitium-test-token';
const token = { env: 'LARES_TEST_TECHNITIUM' };

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, token }));

afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> =>
  check.observe(check.options.parse({ token, ...given }), checkContext());

const zone = (name: string, more: object = {}) => ({ name, type: 'Secondary', soaSerial: 7, ...more });

/** Technitium 15.2: HTTP 200 whatever happens. */
function technitium(of: { zones?: object[]; stats?: object } = {}) {
  return ({ path, headers }: ApiRequest) => {
    if (headers.authorization !== 'Bearer technitium-test-token') {
      return { body: { status: 'invalid-token', errorMessage: 'Invalid token or session expired.' } };
    }
    const stats = { totalQueries: 1_000, totalServerFailure: 3, blockListZones: 650_000, ...of.stats };
    if (path === '/api/dashboard/stats/get') return { body: { status: 'ok', server: 'dns1', response: { stats } } };
    if (path !== '/api/zones/list') return { body: { status: 'error', errorMessage: 'no such call' } };
    return { body: { status: 'ok', response: { zones: of.zones ?? [zone('home.example')] } } };
  };
}

describe('Technitium', () => {
  test('that works is well, its own zones left out', async () => {
    await using api = await startFakeApi(
      technitium({ zones: [zone('home.example'), zone('0.in-addr.arpa', { internal: true })] }),
    );
    expect(words(await look({ url: api.url, blockedZonesBelow: 100_000 }))).toEqual([
      'technitium-down technitium ok',
      'dns-queries-failing queries level',
      'dns-blocklist-empty block lists level',
      'dns-zone-failed zones ok',
      'dns-zone-failed home.example ok',
    ]);
  });

  test('that shows a token not even its own zones is unknown in them', async () => {
    await using api = await startFakeApi(technitium({ zones: [] }));
    expect(words(await look({ url: api.url })).at(-1)).toBe('dns-zone-failed zones unknown');
    await using resolver = await startFakeApi(technitium({ zones: [zone('localhost', { internal: true })] }));
    expect(words(await look({ url: resolver.url })).at(-1)).toBe('dns-zone-failed zones ok');
  });

  test('that answers 200 with "invalid-token" is unknown, not well', async () => {
    await using api = await startFakeApi(technitium());
    const [found, ...others] = await look({ url: api.url, token: { env: 'HOME' } });
    expect(found?.reading).toEqual({
      is: 'unknown',
      reason: 'it says "invalid-token": Invalid token or session expired.',
    });
    expect(others).toEqual([]);
  });

  test('tells zones that expired, are behind or could not notify', async () => {
    const zones = [
      zone('a.example', { isExpired: true, syncFailed: true }),
      zone('b.example', { syncFailed: true }),
      zone('c.example', { type: 'Primary', notifyFailed: true, notifyFailedFor: ['10.0.0.54'] }),
      zone('d.example', { disabled: true, syncFailed: true }),
    ];
    await using api = await startFakeApi(technitium({ zones }));
    const found = await look({ url: api.url });
    expect(words(found).slice(4)).toEqual([
      'dns-zone-failed a.example critical',
      'dns-zone-failed b.example warning',
      'dns-zone-failed c.example warning',
    ]);
    expect(found.at(-1)?.summary).toBe('zone c.example could not notify 10.0.0.54');
    const [evidence] = await check.evidence.gather(
      check.options.parse({ url: api.url, token }),
      checkContext(),
      found[0] as Observation,
    );
    expect(evidence?.lines[1]).toBe('b.example Secondary serial 7 cannot be fetched from its primary');
  });

  test('tells block lists of which half is gone, until a week is over', async () => {
    const stats = { blockListZones: 0 };
    await using api = await startFakeApi((request) => technitium({ stats })(request));
    let now = Date.parse('2026-11-20T12:00:00Z');
    const context = { ...checkContext(), clock: { ...checkContext().clock, now: () => now } };
    const blocked = async () => {
      const found = await check.observe(check.options.parse({ token, url: api.url }), context);
      return found.find(({ condition }) => condition === 'dns-blocklist-empty');
    };
    expect(await blocked()).toBeUndefined();
    stats.blockListZones = 650_000;
    expect(await blocked()).toMatchObject({ summary: 'the block lists hold 650000 names' });
    stats.blockListZones = 90_000;
    expect(await blocked()).toMatchObject({
      summary: 'the block lists hold 90000 names, they held 650000',
      reading: { value: 90_000, bad: 'below', warning: { trigger: 325_000 } },
    });
    now += 8 * 86_400_000;
    expect(await blocked()).toMatchObject({ reading: { warning: { trigger: 45_000 } } });
  });

  test('counts failures as a share, and a quiet hour says nothing', async () => {
    await using busy = await startFakeApi(technitium({ stats: { totalServerFailure: 100 } }));
    expect((await look({ url: busy.url }))[1]?.reading).toMatchObject({ value: 10, warning: { trigger: 5 } });
    await using quiet = await startFakeApi(technitium({ stats: { totalQueries: 3, totalServerFailure: 3 } }));
    expect((await look({ url: quiet.url }))[1]?.reading).toMatchObject({ value: 0 });
  });
});
