import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ClusterModel } from '../../../test/parts/cluster-model.ts';
import { watchCluster } from '../../../test/parts/cluster-watch.ts';
import { type FakeProxmox, startFakeProxmox } from '../../../test/parts/fake-proxmox.ts';
import { badOnes } from '../../../test/parts/problems.ts';
import { oneOf } from '../../../test/parts/readings.ts';

let model: ClusterModel;
let proxmox: FakeProxmox;
beforeEach(async () => {
  model = new ClusterModel({ nodes: 2, guests: 4 });
  proxmox = await startFakeProxmox(model);
});
afterEach(() => proxmox[Symbol.asyncDispose]());
const condition = 'guest-memory-pressure';

describe('how long a container waits for memory', () => {
  test('is a warning where it lasts, and not known before version 9', async () => {
    const { look } = watchCluster(proxmox, { look: ['guests'] });
    expect((await look()).map((one) => one.condition)).not.toContain(condition);
    model.guest(100).memoryPressure = 23.4;
    model.guest(101).memoryPressure = 0;
    const found = await look();
    expect(badOnes(found)).toEqual([`warning ${condition} CT 100`]);
    expect(oneOf(found, condition, 'CT 100')).toMatchObject({
      summary: 'CT 100 (guest-100) waits for memory 23 % of the time',
      holdMs: 600_000,
      reading: { value: 23.4, unit: '%', warning: { trigger: 10 } },
    });
    model.stopGuest(100, { user: 'anna@pam' });
    expect(oneOf(await look(), condition, 'CT 100')).toBeUndefined();
  });

  test('is unknown, not well, when a node that told it does not answer', async () => {
    const { look } = watchCluster(proxmox, { look: ['guests'] });
    model.guest(100).memoryPressure = 50;
    await look();
    model.node('pve1').isHung = true;
    const found = await look();
    expect(badOnes(found)).toContain(`unknown ${condition} pve1 containers`);
    model.node('pve1').isHung = false;
    expect(badOnes(await look())).toEqual([`warning ${condition} CT 100`]);
  });
});
