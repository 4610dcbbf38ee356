import { afterEach, describe, expect, test } from 'vitest';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, type FakeApi, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './arr.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, product: 'sonarr' }));

process.env['LARES_TEST_ARR_KEY'] = '0123456789abcdef0123456789abcdef';
const token = { env: 'LARES_TEST_ARR_KEY' };

/** Sonarr 4 and Radarr 5 as they answer: `/ping` needs no key, everything else refuses a wrong one with 401. */
function sonarr(issues: object[], database = true, inside: { queue?: object; disks?: object[] } = {}) {
  return ({ path, headers }: ApiRequest) => {
    if (path === '/api/system/ping') return { body: { status: 'OK' } };
    if (path === '/ping') return database ? { body: { status: 'OK' } } : { status: 500, body: { status: 'Error' } };
    if (headers['x-api-key'] !== process.env['LARES_TEST_ARR_KEY']) return { status: 401 };
    if (path === '/api/v3/health' || path === '/api/v1/health') return { body: issues };
    if (path === '/api/v3/queue/status')
      return { body: inside.queue ?? { totalCount: 0, errors: false, warnings: false } };
    if (path === '/api/v3/diskspace') return { body: inside.disks ?? [] };
    if (path === '/api/system/health') return { body: { data: issues } };
    return undefined;
  };
}

let api: FakeApi | undefined;
afterEach(async () => {
  await closeHttpAgents();
  await api?.[Symbol.asyncDispose]();
});

async function look(given: object = {}) {
  const options = check.options.parse({ url: api?.url, product: 'sonarr', token, ...given });
  return check.observe(options, checkContext());
}

const indexers = {
  source: 'IndexerStatusCheck',
  type: 'warning',
  message: 'Indexers unavailable due to failures: NZBgeek',
  wikiUrl: 'https://wiki.servarr.com/sonarr/system#indexers',
};

describe('a product that answers', () => {
  test('without messages is well', async () => {
    api = await startFakeApi(sonarr([{ source: 'x', type: 'notice', message: 'An update is there' }]));
    expect((await look()).map(({ condition, reading }) => [condition, reading])).toEqual([
      ['arr-down', { is: 'state', ok: true, severity: 'critical' }],
      ['arr-health', { is: 'state', ok: true, severity: 'warning' }],
      ['arr-queue-stuck', { is: 'state', ok: true, severity: 'warning' }],
    ]);
  });

  test('tells its messages once per source, the worst severity of each', async () => {
    const roots = { source: 'RootFolderCheck', type: 'error', message: 'Missing root folder: /tv' };
    api = await startFakeApi(sonarr([indexers, { ...indexers, message: 'And another' }, roots]));
    const bad = (await look()).filter(({ reading }) => reading.is === 'state' && !reading.ok);
    expect(bad.map(({ resource, reading, summary }) => [resource, reading, summary])).toEqual([
      [
        'IndexerStatusCheck',
        { is: 'state', ok: false, severity: 'warning' },
        'sonarr: Indexers unavailable due to failures: NZBgeek; And another',
      ],
      ['RootFolderCheck', { is: 'state', ok: false, severity: 'critical' }, 'sonarr: Missing root folder: /tv'],
    ]);
    expect(await look({ ignore: ['IndexerStatusCheck', 'RootFolderCheck'] })).toHaveLength(3);
  });

  test('speaks version 1 as Prowlarr and its own words as Bazarr', async () => {
    api = await startFakeApi(sonarr([indexers]));
    expect(await look({ product: 'prowlarr' })).toHaveLength(3);
    expect(api.requests.at(-1)?.path).toBe('/api/v1/health');
    api = await startFakeApi(sonarr([{ object: 'Series', issue: 'Path is not reachable' }]));
    expect((await look({ product: 'bazarr' })).at(-1)?.summary).toBe('bazarr: Path is not reachable');
  });

  test('tells downloads that are stuck and disks that are nearly full, a small one by its share', async () => {
    const gib = 1_073_741_824;
    api = await startFakeApi(
      sonarr([], true, {
        queue: { totalCount: 3, count: 3, unknownCount: 0, errors: true, warnings: false },
        disks: [
          { path: '/tv', label: 'media', freeSpace: 6 * gib, totalSpace: 4_000 * gib },
          { path: '/', label: '', freeSpace: 4 * gib, totalSpace: 8 * gib },
          { path: '/proc', label: '', freeSpace: 0, totalSpace: 0 },
        ],
      }),
    );
    const [, , queue, ...disks] = await look({ stuckAfter: '2h' });
    expect(queue).toMatchObject({ condition: 'arr-queue-stuck', holdMs: 7_200_000, reading: { ok: false } });
    expect(queue?.summary).toBe('sonarr has 3 downloads in its queue, some with errors');
    expect(disks.map(({ resource, reading }) => [resource, reading])).toMatchObject([
      ['/tv', { value: 6, bad: 'below', warning: { trigger: 10 } }],
      ['/', { value: 4, warning: { trigger: 0.4 } }],
    ]);
  });

  test('and refuses the key is unknown in its health, not well', async () => {
    api = await startFakeApi(sonarr([]));
    const [, health] = await look({ token: { env: 'HOME' } });
    expect(health?.reading).toMatchObject({ is: 'unknown', reason: expect.stringContaining('401') });
  });
});

test('a database that fails is a product that is down', async () => {
  api = await startFakeApi(sonarr([], false));
  expect((await look())[0]?.reading).toEqual({ is: 'state', ok: false, severity: 'critical' });
});

test.each(['truncated-json', 'wrong-content-type', 'not-the-shape', 'forbidden'] as const)(
  'its messages are unknown after %s',
  async (fault) => {
    api = await startFakeApi(sonarr([]));
    const [first] = await look();
    expect(first?.reading).toMatchObject({ ok: true });
    api.fault = fault;
    const found = await look();
    expect(found.some(({ reading }) => reading.is === 'unknown')).toBe(true);
    expect(found.filter(({ condition, reading }) => condition === 'arr-health' && reading.is === 'state')).toEqual([]);
  },
);

test('the evidence quotes all messages', async () => {
  api = await startFakeApi(sonarr([indexers]));
  const options = check.options.parse({ url: api.url, product: 'sonarr', token });
  const [observation] = await look();
  if (observation === undefined) throw new Error('nothing was observed');
  const [evidence] = await check.evidence.gather(options, checkContext(), observation);
  expect(evidence?.lines).toEqual(['warning IndexerStatusCheck: Indexers unavailable due to failures: NZBgeek']);
});
