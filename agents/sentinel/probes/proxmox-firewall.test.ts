import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { ClusterModel } from '../../../test/parts/cluster-model.ts';
import { hourMs, watchCluster } from '../../../test/parts/cluster-watch.ts';
import { type FakeProxmox, startFakeProxmox } from '../../../test/parts/fake-proxmox.ts';
import { badOnes } from '../../../test/parts/problems.ts';
import { oneOf } from '../../../test/parts/readings.ts';

let model: ClusterModel;
let proxmox: FakeProxmox;
beforeEach(async () => {
  model = new ClusterModel();
  proxmox = await startFakeProxmox(model);
});
afterEach(() => proxmox[Symbol.asyncDispose]());
const watcher = (more: object = {}, replaced: Partial<CheckContext> = {}) => watchCluster(proxmox, more, replaced);

describe('the firewalls', () => {
  const filtered = { net0: 'name=eth0,bridge=vmbr0,firewall=1,hwaddr=BC:24:11:00:00:01,ip=dhcp,type=veth' };
  const weekMs = 7 * 24 * hourMs;

  /** All on, and guest 100 filtered on its one interface. */
  function switchOn(): void {
    model.firewalls.cluster = { enable: 1 };
    model.firewalls.guests.set(100, { enable: 1 });
    model.guest(100).networks = filtered;
  }

  test('of a cluster that uses none are no alert, and of one that must have them each is', async () => {
    expect(badOnes(await watcher({ look: ['firewall'] }).look())).toEqual([]);
    model.guests = model.guests.slice(0, 2);
    model.firewalls.nodes.set('pve3', { enable: 0 });
    const firewall = { required: true, ignore: [101] };
    const found = await watcher({ look: ['firewall'], firewall }).look();
    expect(badOnes(found)).toEqual([
      'warning firewall-weakened firewall',
      'warning firewall-weakened pve3',
      'warning firewall-weakened CT 100',
    ]);
    expect(oneOf(found, 'firewall-weakened', 'CT 100')?.summary).toBe(
      'the firewall of CT 100 (guest-100) is off, and has to be on',
    );
  });

  test('of a guest filter nothing while that of the cluster is off or an interface is left out', async () => {
    switchOn();
    model.guest(100).networks = { ...filtered, net1: 'name=eth1,bridge=vmbr1', net2: 'bridge=vmbr2,link_down=1' };
    const { look } = watcher({ look: ['firewall'] });
    const gap = await look();
    expect(badOnes(gap)).toEqual(['warning firewall-without-effect CT 100']);
    expect(oneOf(gap, 'firewall-without-effect', 'CT 100')?.summary).toBe(
      'the firewall of CT 100 (guest-100) is on and not for net1: "firewall=1" is missing there',
    );
    model.guest(100).networks = filtered;
    expect(badOnes(await look())).toEqual([]);
    model.firewalls.cluster = {};
    const off = await look();
    expect(badOnes(off)).toContain('warning firewall-without-effect CT 100');
    expect(oneOf(off, 'firewall-without-effect', 'CT 100')?.summary).toContain('the firewall of the cluster is off');
  });

  test('that get weaker are told for a week, then that is how they are wished', async () => {
    switchOn();
    let now = Date.now();
    const clock = { ...checkContext().clock, now: () => now };
    const { look } = watcher({ look: ['firewall'] }, { clock });
    expect(badOnes(await look())).toEqual([]);
    model.firewalls.cluster = { enable: 1, policy_in: 'ACCEPT' };
    model.firewalls.nodes.set('pve2', { enable: 0 });
    model.firewalls.guests.set(100, { enable: 0 });
    const weaker = await look();
    expect(badOnes(weaker)).toEqual([
      'warning firewall-weakened firewall',
      'warning firewall-weakened pve2',
      'warning firewall-weakened CT 100',
    ]);
    expect(oneOf(weaker, 'firewall-weakened', 'firewall')?.summary).toBe(
      'the firewall of the cluster is on and lets in what no rule refuses, it was on',
    );
    now += weekMs - hourMs;
    expect(badOnes(await look())).toHaveLength(3);
    now += hourMs;
    expect(badOnes(await look())).toEqual([]);
  });

  test('are unknown without the privilege, and of a node that is down', async () => {
    switchOn();
    const { look } = watcher({ look: ['firewall'] });
    await look();
    model.node('pve1').online = false;
    expect(badOnes(await look())).toContain('unknown firewall-weakened pve1');
    model.node('pve1').online = true;
    model.revoke('Sys.Audit');
    expect(badOnes(await look())).toContain('unknown firewall-weakened firewall');
  });
});
