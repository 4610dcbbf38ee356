import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { ClusterModel } from '../../../test/parts/cluster-model.ts';
import { token, watchCluster } from '../../../test/parts/cluster-watch.ts';
import { type FakeProxmox, startFakeProxmox } from '../../../test/parts/fake-proxmox.ts';
import { badOnes } from '../../../test/parts/problems.ts';
import { asleepOnes, oneOf } from '../../../test/parts/readings.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './proxmox.ts';

process.env['LARES_TEST_PVE_BAD'] = 'lares@pve!watch=ffffffff-aaaa-bbbb-cccc-1234567890ab';
process.env['LARES_TEST_PVE_CUT'] = '12345678-aaaa-bbbb-cccc-1234567890ab';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, token }));

let model: ClusterModel;
let proxmox: FakeProxmox;
beforeEach(async () => {
  model = new ClusterModel();
  proxmox = await startFakeProxmox(model);
  proxmox.refusalDelayMs = 50;
});
afterEach(() => proxmox[Symbol.asyncDispose]());
const watcher = (more: object = {}, replaced: Partial<CheckContext> = {}) => watchCluster(proxmox, more, replaced);

describe('a cluster of four nodes and fifty-three guests', () => {
  test('that is well has nothing bad, and says how much was looked at, in few calls', async () => {
    const found = await watcher().look();
    expect(badOnes(found)).toEqual([]);
    expect(oneOf(found, 'proxmox-down')?.summary).toContain('4 nodes, 53 guests');
    expect(found.filter(({ condition }) => condition === 'guest-down')).toHaveLength(53);
    expect(proxmox.requests.length).toBeLessThanOrEqual(18);
    expect(proxmox.requests.every(({ method }) => method === 'GET')).toBe(true);
  });

  test('that lost its quorum is critical', async () => {
    model.quorate = false;
    expect(badOnes(await watcher().look())).toEqual(['critical cluster-quorum-lost homelab']);
  });

  test('loses a node: one finding, and its guests are not called stopped', async () => {
    const { look } = watcher();
    await look();
    model.nodeDown('pve2');
    const found = await look();
    expect(badOnes(found).filter((text) => !text.startsWith('unknown'))).toEqual(['critical node-down pve2']);
    expect(
      new Set(
        badOnes(found)
          .filter((text) => text.startsWith('unknown'))
          .map((text) => text.split(' ')[2]),
      ),
    ).toEqual(new Set(['pve2']));
    expect(proxmox.requests.some(({ path }) => path.startsWith('/api2/json/nodes/pve2/'))).toBe(true);
    proxmox.requests.length = 0;
    await look();
    expect(proxmox.requests.filter(({ path }) => path.startsWith('/api2/json/nodes/pve2/'))).toEqual([]);
  });

  test('whose on-demand node is off is well: the node and its guests rest', async () => {
    model.nodeDown('pve3');
    const found = await watcher({ onDemandNodes: ['pve3'], look: ['cluster', 'nodes', 'guests'] }).look();
    expect(badOnes(found)).toEqual([]);
    expect(asleepOnes(found)).toContain('pve3');
    expect(asleepOnes(found)).toHaveLength(1 + model.guests.filter(({ node }) => node === 'pve3').length);
  });

  test('whose node answers its cluster but not its API says so', async () => {
    model.node('pve4').isHung = true;
    expect(badOnes(await watcher({ look: ['nodes'] }).look())).toEqual(['warning node-api-down pve4']);
  });

  test('whose status daemon stands still on a node is unknown there, once', async () => {
    model.node('pve1').isMute = true;
    const found = await watcher({ look: ['guests'] }).look();
    expect(new Set(badOnes(found).map((text) => text.replace(/ \S+ /, ' ')))).toEqual(new Set(['unknown pve1']));
    expect(oneOf(found, 'guest-down', 'pve1')?.summary).toContain('pvestatd');
  });

  test('of one node alone has no quorum to lose', async () => {
    await using single = await startFakeProxmox(new ClusterModel({ nodes: 1, guests: 3 }));
    expect(
      badOnes(await watcher({ url: single.url, look: ['cluster', 'nodes', 'guests', 'services'] }).look()),
    ).toEqual([]);
  });

  test('is asked at another node while the first is silent', async () => {
    const { look } = watcher({ url: 'http://127.0.0.1:9', otherUrls: [proxmox.url], look: ['cluster'] });
    expect(badOnes(await look())).toEqual([]);
  });

  test('levels: CPU is a share of all processors', async () => {
    model.node('pve1').cpu = 0.97;
    model.node('pve2').mem = 0.95;
    model.node('pve3').wait = 0.4;
    expect(badOnes(await watcher({ look: ['nodes'] }).look())).toEqual([
      'critical node-cpu-high pve1',
      'warning node-memory-low pve2',
      'warning node-disk-wait pve3',
    ]);
  });
});

describe('a token', () => {
  test('that is refused leaves everything unknown, though the refusal takes 3 s', async () => {
    proxmox.refusalDelayMs = 3_000;
    const [first, ...rest] = await watcher({ token: { env: 'LARES_TEST_PVE_BAD' } }).look();
    expect(first?.reading).toEqual({ is: 'unknown', reason: 'it does not accept the token "lares@pve!watch" (401)' });
    expect(rest).toEqual([]);
  });

  test('that is refused later than the look may take is not called silence of the cluster', async () => {
    proxmox.refusalDelayMs = 3_000;
    const [first] = await watcher({ token: { env: 'LARES_TEST_PVE_BAD' } }, { timeoutMs: 1_000 }).look();
    expect(first?.reading).toMatchObject({ is: 'unknown', reason: expect.stringContaining('timeout') });
  });

  test('of which only the secret was kept is explained', async () => {
    const [first] = await watcher({ token: { env: 'LARES_TEST_PVE_CUT' } }).look();
    expect(first?.reading).toMatchObject({ is: 'unknown', reason: expect.stringContaining('USER@REALM!TOKENID=UUID') });
    expect(proxmox.requests).toEqual([]);
  });

  test('that may see no guests is no cluster without guests', async () => {
    model.revoke('VM.Audit', 'Datastore.Audit', 'Sys.Audit');
    const found = await watcher({ look: ['cluster', 'guests', 'storage'] }).look();
    expect(badOnes(found)).toEqual([
      'unknown proxmox-down cluster',
      'unknown proxmox-down guests',
      'unknown proxmox-down storage',
    ]);
    expect(oneOf(found, 'proxmox-down', 'guests')?.summary).toContain('PVEAuditor');
  });
});

test.each([
  ['hang', 'critical'],
  ['reset', 'critical'],
  ['server-error-html', 'critical'],
  ['truncated-json', 'unknown'],
  ['wrong-content-type', 'unknown'],
  ['not-the-shape', 'unknown'],
  ['forbidden', 'unknown'],
] as const)('an API with the fault "%s" is %s', async (fault, word) => {
  proxmox.fault = fault;
  const found = await watcher({}, { timeoutMs: 4_600 }).look();
  expect(badOnes(found).map((text) => text.split(' ')[0])).toEqual([word]);
});
