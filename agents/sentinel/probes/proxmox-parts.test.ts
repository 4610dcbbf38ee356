import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { ClusterModel } from '../../../test/parts/cluster-model.ts';
import { freezeResources } from '../../../test/parts/cluster-view.ts';
import { hourMs, watchCluster } from '../../../test/parts/cluster-watch.ts';
import { type FakeProxmox, startFakeProxmox } from '../../../test/parts/fake-proxmox.ts';
import { badOnes } from '../../../test/parts/problems.ts';
import { asleepOnes, oneOf } from '../../../test/parts/readings.ts';

let model: ClusterModel;
let proxmox: FakeProxmox;
beforeEach(async () => {
  model = new ClusterModel();
  proxmox = await startFakeProxmox(model);
  proxmox.refusalDelayMs = 50;
});
afterEach(() => proxmox[Symbol.asyncDispose]());
const watcher = (more: object = {}, replaced: Partial<CheckContext> = {}) => watchCluster(proxmox, more, replaced);

describe('a guest', () => {
  const look = { look: ['guests'] };

  test('that starts with its node and is stopped is critical, and a stop by hand is named', async () => {
    model.stopGuest(104, { user: 'anna@pam' });
    model.stopGuest(105);
    const found = await watcher(look).look();
    expect(badOnes(found)).toEqual(['critical guest-down CT 104', 'critical guest-down CT 105']);
    expect(oneOf(found, 'guest-down', 'CT 104')?.summary).toContain('by anna@pam (vzshutdown');
    expect(oneOf(found, 'guest-down', 'CT 105')?.summary).toContain('it ended by itself');
    expect(oneOf(found, 'guest-down', 'CT 105')?.labels).toEqual({
      guest: 'guest-105',
      vmid: '105',
      node: 'pve2',
      guest_type: 'lxc',
    });
  });

  test('that does not start with its node may be stopped; one that ran and ended by itself may not', async () => {
    for (const vmid of [110, 111]) model.guest(vmid).onboot = false;
    model.stopGuest(110);
    const { look: again } = watcher(look);
    expect(badOnes(await again())).toEqual([]);
    model.stopGuest(111);
    expect(badOnes(await again())).toEqual(['warning guest-down CT 111']);
    expect(badOnes(await again())).toEqual(['warning guest-down CT 111']);
    model.startGuest(111);
    expect(badOnes(await again())).toEqual([]);
    model.stopGuest(111, { user: 'anna@pam' });
    const found = await again();
    expect(badOnes(found)).toEqual([]);
    expect(asleepOnes(found)).toEqual(['CT 110', 'CT 111']);
  });

  test('that is a template, left out or excepted is no alert; one that must run is', async () => {
    Object.assign(model.guest(100), { template: true, status: 'stopped' });
    for (const vmid of [101, 102]) model.stopGuest(vmid);
    for (const vmid of [103, 104]) Object.assign(model.guest(vmid), { onboot: false, status: 'stopped' });
    model.guest(104).tags = 'web;always-on';
    const more = { ignoreGuests: [101], mayStop: [102], mustRun: [103], mustRunTags: ['always-on'] };
    expect(badOnes(await watcher({ ...look, ...more }).look())).toEqual([
      'critical guest-down CT 103',
      'critical guest-down CT 104',
    ]);
  });

  test('that was just started is not stopped, though the list of all lags', async () => {
    model.stopGuest(105);
    freezeResources(model);
    model.startGuest(105);
    expect(badOnes(await watcher(look).look())).toEqual([]);
  });

  test('that a backup stops is not down; a lock that no task holds is a finding', async () => {
    Object.assign(model.guest(105), { lock: 'backup', status: 'stopped' });
    const task = model.addTask({ type: 'vzdump', node: 'pve2' });
    const { look: again } = watcher(look);
    expect(badOnes(await again())).toEqual([]);
    Object.assign(task, { endtime: model.seconds, status: 'interrupted by signal' });
    expect(badOnes(await again())).toEqual(['critical guest-down CT 105', 'warning guest-locked CT 105']);
  });

  test('short of disk is a finding when it is a container', async () => {
    model.guest(100).disk = 0.97;
    expect(badOnes(await watcher(look).look())).toEqual(['critical guest-disk-full CT 100']);
  });

  test('brings its last tasks and its lock as evidence', async () => {
    model.addTask({ type: 'vzdump', id: '105', node: 'pve2', status: 'OK', starttime: model.seconds - 600 });
    model.stopGuest(105, { user: 'anna@pam' });
    model.guest(105).lock = 'migrate';
    const { look: again, evidence } = watcher(look);
    const told = JSON.stringify(await evidence(oneOf(await again(), 'guest-down', 'CT 105')));
    expect(told).toMatch(/vzdump 105 by root@pam: OK.*vzshutdown 105 by anna@pam: OK/);
    expect(told).toContain('lock migrate');
  });
});

describe('storages', () => {
  const look = { look: ['storage'] };

  test('that fill up count once when they are shared, and say what fills them', async () => {
    model.fillStorage('pbs', 0.82);
    model.fillStorage('local-zfs', 0.96);
    const { look: again, evidence } = watcher(look);
    const found = await again();
    expect(badOnes(found)).toEqual([
      'critical storage-full pve1/local-zfs',
      'critical storage-full pve2/local-zfs',
      'critical storage-full pve3/local-zfs',
      'critical storage-full pve4/local-zfs',
      'warning storage-full pbs',
    ]);
    const [largest] = await evidence(oneOf(found, 'storage-full', 'pbs'));
    expect(largest?.lines[0]).toMatch(/^3\.0 GiB pbs:backup\//);
  });

  test('that are enabled and not active are critical, unless they may rest', async () => {
    model.storage('pbs').active = false;
    expect(badOnes(await watcher(look).look())).toEqual(['critical storage-inactive pbs']);
    const found = await watcher({ ...look, onDemandStorages: ['pbs'] }).look();
    expect(badOnes(found)).toEqual([]);
    expect(asleepOnes(found)).toEqual(['pbs']);
  });

  test('that the status daemon does not report are asked for at their node', async () => {
    model.node('pve2').isMute = true;
    expect(badOnes(await watcher(look).look())).toEqual([]);
  });
});

describe('replication', () => {
  test.each([
    [1, ['warning replication-failing replication 100-0']],
    [3, ['critical replication-failing replication 100-0']],
    [0, []],
  ])('that failed %i times in a row', async (count, expected) => {
    model.failReplication(100, 'pve2', { count, error: 'command zfs recv failed: exit code 1' });
    const { look, evidence } = watcher({ look: ['replication'] });
    const found = await look();
    expect(badOnes(found)).toEqual(expected);
    const told = JSON.stringify(await evidence(oneOf(found, 'replication-failing')));
    expect(told.includes('zfs recv')).toBe(count > 0);
  });

  test('to a node that may be off rests with it', async () => {
    model.failReplication(100, 'pve3', { count: 7, error: 'no route to host' });
    model.nodeDown('pve3');
    const found = await watcher({ look: ['replication'], onDemandNodes: ['pve3'] }).look();
    expect(badOnes(found)).toEqual([]);
    expect(asleepOnes(found)).toEqual(['replication 100-0']);
  });
});

describe('what belongs to a node', () => {
  test('services: a core one that is down is critical', async () => {
    model.stopService('pve2', 'pvestatd');
    model.stopService('pve3', 'postfix');
    expect(badOnes(await watcher({ look: ['services'] }).look())).toEqual([
      'critical node-service-down pve2 pvestatd',
      'warning node-service-down pve3 postfix',
    ]);
  });

  test('disks and pools', async () => {
    Object.assign(model.disks[0] ?? {}, { health: 'FAILED', wearout: 4 });
    Object.assign(model.disks[1] ?? {}, { health: 'UNKNOWN', wearout: 'N/A' });
    Object.assign(model.pools[2] ?? {}, { health: 'DEGRADED' });
    expect(badOnes(await watcher({ look: ['disks'] }).look())).toEqual([
      'critical disk-failing pve1 /dev/sda',
      'critical disk-worn pve1 /dev/sda',
      'critical zfs-pool-unhealthy pve3 rpool',
    ]);
  });

  test('certificates end', async () => {
    model.certificateEnds('pve1', 10 * 24 * hourMs);
    model.certificateEnds('pve2', 2 * 24 * hourMs);
    expect(badOnes(await watcher({ look: ['certificates'] }).look())).toEqual([
      'warning certificate-expiring pve1 pve-ssl.pem',
      'critical certificate-expiring pve2 pve-ssl.pem',
    ]);
  });

  test('HA: a service in error is critical, a silent manager a warning', async () => {
    model.ha = [
      { id: 'quorum', type: 'quorum', node: 'pve1', status: 'OK', quorate: 1 },
      { id: 'lrm:pve2', type: 'lrm', node: 'pve2', status: 'pve2 (old timestamp - dead?, Fri Nov 20 03:00:00 2026)' },
      {
        id: 'service:ct:104',
        type: 'service',
        node: 'pve1',
        status: 'ct:104 (pve1, error)',
        state: 'error',
        sid: 'ct:104',
      },
    ];
    expect(badOnes(await watcher({ look: ['ha'] }).look())).toEqual([
      'warning ha-manager-silent lrm:pve2',
      'critical ha-service-failed ct:104',
    ]);
  });

  test('updates need Sys.Modify: without, it is unknown and the command that grants it is named', async () => {
    model.updates = [
      { node: 'pve1', Package: 'openssl', Version: '2', OldVersion: '1', Origin: 'Debian', Section: 'utils' },
    ];
    const { look } = watcher({ look: ['updates'] });
    expect(badOnes(await look())).toEqual(['info updates-pending pve1']);
    model.revoke('Sys.Modify');
    const found = await look();
    expect(badOnes(found)).toContain('unknown updates-pending pve1 updates');
    const reading = oneOf(found, 'updates-pending', 'pve1 updates')?.reading;
    expect(reading).toMatchObject({
      reason: expect.stringMatching(
        /lacks Sys\.Modify on \/nodes\/pve1; as root: pveum role add \S+ --privs Sys\.Modify; pveum acl modify \/nodes\/pve1 --tokens 'lares@pve!watch'/,
      ),
    });
    expect(JSON.stringify(found)).not.toContain('12345678-aaaa');
  });
});
