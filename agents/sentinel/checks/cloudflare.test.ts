import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './cloudflare.ts';

process.env['LARES_TEST_CLOUDFLARE'] = 'cloudflare-test-token';
const token = { env: 'LARES_TEST_CLOUDFLARE' };
kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, token }));

const account = '0123456789abcdef0123456789abcdef';
const now = Date.parse('2026-11-20T12:00:00Z');
afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> =>
  check.observe(check.options.parse({ token, ...given }), checkContext({ clock: createVirtualClock(now) }));

interface House {
  token?: object;
  tunnels?: object[];
  records?: Record<string, object[]>;
  values?: Record<string, unknown>;
  buckets?: Record<string, object>;
  metrics?: object;
}

const addresses: Record<string, string> = { '/address': '198.51.100.7', '/other-address': '198.51.100.8' };

/** API v4: everything comes in an envelope, faults too. */
function cloudflare(house: House) {
  const good = (result: unknown) => ({ body: { success: true, errors: [], messages: [], result } });
  const invalid = {
    success: false,
    errors: [{ code: 1000, message: 'Invalid API Token' }],
    messages: [],
    result: null,
  };
  return ({ path, query, headers }: ApiRequest) => {
    const address = addresses[path];
    if (address !== undefined) return { body: `${address}\n` };
    if (headers.authorization !== 'Bearer cloudflare-test-token') return { status: 401, body: invalid };
    if (path.endsWith('/tokens/verify')) return good({ id: 'x', status: 'active', ...house.token });
    if (path === `/accounts/${account}/cfd_tunnel`) return good(house.tunnels ?? []);
    if (path === '/zones')
      return good(query.get('name') === 'example.org' ? [{ id: 'zone1', name: 'example.org' }] : []);
    const stored = storage(house, path);
    if (stored !== undefined) return stored;
    if (path !== '/zones/zone1/dns_records') return { status: 404, body: invalid };
    return good(house.records?.[`${query.get('name')} ${query.get('type')}`] ?? []);
  };
}

/** A value comes as it is; what is not there is a 404 in the envelope. */
function storage(house: House, path: string): { status?: number; body: unknown } | undefined {
  const [, key, bucket, isMetrics] =
    /^\/accounts\/\w+\/(?:storage\/kv\/namespaces\/\w+\/values\/(.+)|r2\/buckets\/(.+)|r2\/(metrics))$/.exec(path) ??
    [];
  const missing = (code: number, message: string) => ({
    status: 404,
    body: { success: false, errors: [{ code, message }], messages: [], result: null },
  });
  if (key !== undefined) {
    const value = house.values?.[decodeURIComponent(key)];
    return value === undefined ? missing(10_009, "get: 'key not found'") : { body: value };
  }
  if (bucket !== undefined) {
    const found = house.buckets?.[bucket];
    if (found === undefined) return missing(10_006, 'The specified bucket does not exist.');
    return { body: { success: true, errors: [], messages: [], result: { name: bucket, ...found } } };
  }
  if (isMetrics === undefined) return undefined;
  return { body: { success: true, errors: [], messages: [], result: house.metrics ?? {} } };
}

describe('the token', () => {
  test('that is active is well, whether of a user or an account', async () => {
    await using api = await startFakeApi(cloudflare({}));
    expect(words(await look({ url: api.url }))).toEqual([
      'cloudflare-down cloudflare ok',
      'cloudflare-token-invalid token ok',
    ]);
    await look({ url: api.url, account, accountToken: true });
    expect(api.requests.map(({ path }) => path)).toContain(`/accounts/${account}/tokens/verify`);
  });

  test('that was taken back is critical; a page of somebody else in between says nothing about it', async () => {
    await using api = await startFakeApi(cloudflare({}));
    expect(problems(await look({ url: api.url, token: { env: 'HOME' } }))[0]).toMatch(
      /^critical cloudflare-token-invalid: Cloudflare does not accept the token: .*Invalid API Token/,
    );
    await using wall = await startFakeApi(() => ({ status: 403, body: '<html>blocked</html>' }));
    expect(words(await look({ url: wall.url }))).toEqual(['cloudflare-down cloudflare unknown']);
  });

  test('that ends soon is told by the share of its life', async () => {
    const house: House = { token: { expires_on: '2026-11-25T12:00:00Z' } };
    await using api = await startFakeApi(cloudflare(house));
    expect(problems(await look({ url: api.url }))).toEqual([
      'warning cloudflare-token-expiring: the token ends at 2026-11-25T12:00:00.000Z, 5 days left',
    ]);
    house.token = { expires_on: '2026-11-25T12:00:00Z', not_before: '2026-11-18T12:00:00Z' };
    expect(problems(await look({ url: api.url }))).toEqual([]);
  });
});

describe('tunnels', () => {
  const tunnel = (name: string, status: string) => ({
    id: name,
    name,
    status,
    conns_active_at: '2026-11-20T01:00:00Z',
    connections: status === 'healthy' ? [{ colo_name: 'fra03', origin_ip: '198.51.100.7' }] : [],
  });

  test('that are healthy are well; those that are down, degraded or missing are told; one that never ran rests', async () => {
    const tunnels = [
      tunnel('home', 'healthy'),
      tunnel('lab', 'down'),
      tunnel('cafe', 'degraded'),
      tunnel('new', 'inactive'),
    ];
    await using api = await startFakeApi(cloudflare({ tunnels }));
    const found = await look({ url: api.url, account, tunnels: ['home', 'gone'] });
    expect(words(found).slice(2)).toEqual([
      'tunnel-down tunnels ok',
      'tunnel-down home ok',
      'tunnel-down lab critical',
      'tunnel-down cafe warning',
      'tunnel-down new asleep',
      'tunnel-down gone critical',
    ]);
    const options = check.options.parse({ url: api.url, account, token });
    const [evidence] = await check.evidence.gather(options, checkContext(), found[3] as Observation);
    expect(evidence?.lines).toEqual([
      'home healthy, connected since 2026-11-20T01:00:00Z',
      'home at fra03 from 198.51.100.7',
    ]);
    expect(problems(await look({ url: api.url, account, ignoreTunnels: ['lab', 'cafe'] }))).toEqual([]);
  });
});

describe('records', () => {
  const record = (content: string, proxied = false) => [{ id: 'r', content, proxied, ttl: 300 }];

  test('are compared with what they should hold, names and addresses in any spelling', async () => {
    const records = {
      'vpn.example.org A': record('198.51.100.7'),
      'vpn.example.org AAAA': record('2001:db8::7'),
      'www.example.org CNAME': record('Home.Example.org', true),
    };
    await using api = await startFakeApi(cloudflare({ records }));
    const given = {
      url: api.url,
      addressFrom: [`${api.url}/address`],
      records: [
        { name: 'vpn.example.org', proxied: false },
        { name: 'vpn.example.org', type: 'AAAA', expect: ['2001:0db8:0:0:0:0:0:7'] },
        { name: 'www.example.org', type: 'CNAME', expect: ['home.example.org.'], proxied: true },
      ],
    };
    const found = await look(given);
    expect(problems(found)).toEqual([]);
    expect(found.length).toBe(7);
    await look(given);
    expect(api.requests.filter(({ path }) => path === '/zones').length).toBeLessThanOrEqual(3);
  });

  test('that hold another address, nothing, or go through Cloudflare against the wish are told', async () => {
    const records = { 'vpn.example.org A': record('203.0.113.1', true) };
    await using api = await startFakeApi(cloudflare({ records }));
    const addressFrom = [`${api.url}/address`];
    const wanted = [
      { name: 'vpn.example.org', proxied: false },
      { name: 'old.example.org', expect: ['198.51.100.7'] },
    ];
    expect(problems(await look({ url: api.url, addressFrom, records: wanted }))).toEqual([
      'critical dns-record-wrong: vpn.example.org A is 203.0.113.1, not 198.51.100.7',
      'warning dns-record-proxied: vpn.example.org goes through Cloudflare, and should not',
      'critical dns-record-wrong: old.example.org A is nothing, not 198.51.100.7',
    ]);
  });

  test('are unknown while the address of the house is not known, or the zone is not seen', async () => {
    const records = { 'vpn.example.org A': record('198.51.100.7') };
    await using api = await startFakeApi(cloudflare({ records }));
    const wanted = [{ name: 'vpn.example.org' }];
    const addressFrom = [`${api.url}/address`, `${api.url}/other-address`];
    const [disagreed] = await look({ url: api.url, addressFrom, records: wanted, verifyToken: false });
    expect(disagreed?.summary).toContain('the address of this house is told as 198.51.100.7 and 198.51.100.8');
    expect(words(await look({ url: api.url, records: wanted })).at(-1)).toBe(
      'dns-record-wrong vpn.example.org A unknown',
    );
    const other = await look({ url: api.url, records: [{ name: 'a.example.com', expect: ['198.51.100.7'] }] });
    expect(other.at(-1)?.reading).toMatchObject({ is: 'unknown', reason: 'the token sees no zone example.com' });
  });
});

describe('values of Workers KV', () => {
  const namespace = 'fedcba9876543210fedcba9876543210';
  const value = (more: object = {}) => ({ namespace, key: 'status/pve 1.json', ...more });
  const given = (url: string, more: object = {}) => ({ url, account, verifyToken: false, values: [value(more)] });

  test('are as old as they say, and missing ones are critical', async () => {
    const house: House = { values: { 'status/pve 1.json': { meta: { updated: '2026-11-20T11:30:00Z' } } } };
    await using api = await startFakeApi(cloudflare(house));
    const fresh = await look(given(api.url, { timePath: 'meta.updated' }));
    expect(fresh.find(({ condition }) => condition === 'kv-value-old')).toMatchObject({
      resource: 'status/pve 1.json in fedcba98',
      summary: 'the value status/pve 1.json was written 30m ago',
      reading: { value: 30, unit: 'min', warning: { trigger: 60 }, critical: { trigger: 360 } },
    });
    const unreadable = await look(given(api.url, { timePath: 'updated' }));
    expect(words(unreadable)).toContain('kv-value-old status/pve 1.json in fedcba98 unknown');
    delete house.values;
    expect(problems(await look(given(api.url, { timePath: 'meta.updated' })))).toEqual([
      'critical kv-value-missing: there is not the value status/pve 1.json',
    ]);
  });

  test('that do not say when they were written age from the last change that was seen', async () => {
    const house: House = { values: { 'status/pve 1.json': 'online' } };
    await using api = await startFakeApi(cloudflare(house));
    let at = now;
    const context = { ...checkContext(), clock: { ...checkContext().clock, now: () => at } };
    const minutes = async (): Promise<unknown> => {
      const found = await check.observe(check.options.parse({ token, ...given(api.url) }), context);
      const reading = found.find(({ condition }) => condition === 'kv-value-old')?.reading;
      return reading?.is === 'level' ? reading.value : reading;
    };
    expect(await minutes()).toBe(0);
    at += 90 * 60_000;
    expect(await minutes()).toBe(90);
    house.values = { 'status/pve 1.json': 'offline' };
    expect(await minutes()).toBe(0);
  });
});

describe('buckets of R2', () => {
  test('have to be there, and hold no more than they may', async () => {
    const metrics = {
      standard: { published: { payloadSize: 8 * 1_073_741_824, metadataSize: 100, objects: 5 }, uploaded: {} },
      infrequentAccess: { published: { payloadSize: 1_073_741_824 }, uploaded: { payloadSize: 1_073_741_824 } },
    };
    await using api = await startFakeApi(cloudflare({ buckets: { backups: { location: 'WEUR' } }, metrics }));
    const given = { url: api.url, account, verifyToken: false, buckets: ['backups', 'photos'] };
    const found = await look({ ...given, bucketStorage: { warning: 8, critical: 12 } });
    expect(words(found).slice(1)).toEqual([
      'bucket-missing backups ok',
      'bucket-missing photos critical',
      'bucket-storage-high buckets level',
    ]);
    expect(found.at(-1)).toMatchObject({
      summary: 'the buckets of R2 hold 10 GiB',
      reading: { unit: 'GiB', warning: { trigger: 8 }, critical: { trigger: 12 } },
    });
  });

  test('and values are not asked for without the account, and unknown without the right to see them', async () => {
    expect(() => check.options.parse({ token, buckets: ['backups'] })).toThrow('must be given where values or buckets');
    await using api = await startFakeApi(({ path }) =>
      path.includes('/r2/') ? { status: 403, body: { success: false, errors: [], result: null } } : { status: 500 },
    );
    const given = { url: api.url, account, verifyToken: false, buckets: ['backups'], bucketStorage: { warning: 8 } };
    expect(words(await look(given)).slice(1)).toEqual([
      'bucket-missing backups unknown',
      'bucket-storage-high buckets unknown',
    ]);
  });
});
