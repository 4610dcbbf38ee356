import { array, assert, constant, oneof, property, string } from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { parseVzdumpLog } from './vzdump-log.ts';
import { ClusterModel } from '../../../test/parts/cluster-model.ts';
import { hourMs, watchCluster } from '../../../test/parts/cluster-watch.ts';
import { type FakeProxmox, startFakeProxmox } from '../../../test/parts/fake-proxmox.ts';
import { badOnes } from '../../../test/parts/problems.ts';
import { oneOf } from '../../../test/parts/readings.ts';
import { checkContext } from '../../../test/parts/check-context.ts';

let model: ClusterModel;
let proxmox: FakeProxmox;
beforeEach(async () => {
  model = new ClusterModel();
  proxmox = await startFakeProxmox(model);
  proxmox.refusalDelayMs = 50;
});
afterEach(() => proxmox[Symbol.asyncDispose]());
const watcher = (more: object = {}, replaced: Partial<CheckContext> = {}) => watchCluster(proxmox, more, replaced);

describe('tasks', () => {
  const look = { look: ['tasks'] };

  test('that failed count until the same succeeds, and bring the end of their log', async () => {
    const log = Array.from({ length: 60 }, (_, index) => `line ${index}`);
    model.addTask({ type: 'vzmigrate', id: '105', node: 'pve2', status: 'migration aborted', log });
    model.addTask({ type: 'vncproxy', id: '105', node: 'pve2', status: 'connection timed out' });
    model.addTask({ type: 'aptupdate', node: 'pve1', status: 'WARNINGS: 2' });
    const { look: again, evidence } = watcher(look);
    const found = await again();
    expect(badOnes(found)).toEqual(['warning task-failed pve2 vzmigrate 105']);
    const told = await evidence(oneOf(found, 'task-failed', 'pve2 vzmigrate 105'));
    expect(told[0]?.lines).toEqual(log.slice(-20));
    model.addTask({ type: 'vzmigrate', id: '105', node: 'pve2', status: 'OK', starttime: model.seconds + 60 });
    expect(badOnes(await again())).toEqual([]);
  });

  test('that ended without a word are unknown', async () => {
    model.addTask({ type: 'vzstart', id: '105', node: 'pve2', status: 'unexpected status' });
    expect(badOnes(await watcher(look).look())).toEqual(['unknown task-failed pve2 vzstart 105']);
  });

  test('of many backups tell which guest failed, and a later success of that guest ends it', async () => {
    model.addBackupTask('pve1', { failed: { 104: 'command vzdump failed: exit code 1' }, ageMs: 5 * hourMs });
    const { look: again, evidence } = watcher(look);
    const found = await again();
    expect(badOnes(found)).toEqual(['critical backup-failed CT 104']);
    expect(oneOf(found, 'backup-failed', 'CT 104')?.summary).toContain('exit code 1');
    expect(JSON.stringify(await evidence(oneOf(found, 'backup-failed', 'CT 104')))).toContain(
      'ERROR: Backup of VM 104',
    );
    model.addTask({ type: 'vzdump', id: '104', node: 'pve1', status: 'OK' });
    expect(badOnes(await again())).toEqual([]);
  });

  test('of a backup that failed as a whole are one finding', async () => {
    const log = ["ERROR: could not activate storage 'pbs'"];
    model.addTask({ type: 'vzdump', node: 'pve1', status: "could not activate storage 'pbs'", log });
    expect(badOnes(await watcher(look).look())).toEqual(['critical backup-failed backups of pve1']);
  });

  test('the log of a backup of many is read once', async () => {
    model.addBackupTask('pve1', { failed: { 104: 'x' } });
    const { look: again } = watcher(look);
    await again();
    await again();
    const [read, ...more] = proxmox.requests.filter(({ path }) => path.endsWith('/log'));
    expect(more).toEqual([]);
    // The colons of a UPID are written as %3A in a path.
    expect(read?.path).toMatch(/^\/api2\/json\/nodes\/pve1\/tasks\/UPID%3Apve1%3A[^:]+\/log$/);
  });
});

describe('backups', () => {
  const look = { look: ['backups'] };

  test('that are old, missing, corrupt or planned by nobody are four different findings', async () => {
    model.backedUp(101, 27 * hourMs);
    model.backedUp(102, 60 * hourMs);
    model.backedUp(103);
    model.bare.add(104);
    model.backedUp(105, hourMs, { verification: 'failed' });
    expect(badOnes(await watcher(look).look())).toEqual([
      'warning guest-not-backed-up CT 104',
      'warning backup-old CT 101',
      'critical backup-old CT 102',
      'critical backup-old CT 103',
      'critical backup-corrupt CT 105',
    ]);
  });

  test('a guest that no job covers and that never had a backup is one finding', async () => {
    model.bare.add(104);
    model.backedUp(104);
    expect(badOnes(await watcher(look).look())).toEqual(['warning guest-not-backed-up CT 104']);
  });

  test('a guest that is new has a day to be backed up', async () => {
    const { look: again } = watcher(look);
    await again();
    model.guests.push({ ...model.guest(100), vmid: 900, name: 'new' });
    expect(badOnes(await again())).toEqual([]);
  });

  test('on a storage that sleeps are known from before, and from the tasks that wrote them while nobody looked', async () => {
    let now = Date.now();
    const moving = new ClusterModel({ nodes: 2, guests: 6, now: () => now });
    await using server = await startFakeProxmox(moving);
    const clock = { ...checkContext().clock, now: () => now };
    const { look: again } = watcher({ ...look, url: server.url, onDemandStorages: ['pbs'] }, { clock });
    expect(badOnes(await again())).toEqual([]);
    moving.storage('pbs').active = false;
    expect(badOnes(await again())).toEqual([]);
    now += 24 * hourMs;
    moving.addBackupTask('pve1', { ageMs: 3 * hourMs });
    expect(badOnes(await again())).toEqual([
      'warning backup-old CT 101',
      'warning backup-old CT 103',
      'warning backup-old CT 105',
    ]);
    moving.storage('pbs').enabled = false;
    expect(badOnes(await again())).toHaveLength(3);
  });

  test('that cannot be listed are unknown, not missing', async () => {
    model.storage('pbs').active = false;
    const found = await watcher(look).look();
    expect(badOnes(found).filter((text) => !text.startsWith('unknown'))).toEqual([]);
    expect(badOnes(found)).not.toEqual([]);
  });
});

test('the log of a backup is read whatever stands in it, and bounded', () => {
  expect(
    parseVzdumpLog([
      'INFO: Starting Backup of VM 101 (lxc)',
      'INFO: Finished Backup of VM 101 (00:00:31)',
      'ERROR: Backup of VM 102 failed - no space left on device',
    ]),
  ).toEqual({ finished: [101], failed: [{ vmid: 102, reason: 'no space left on device' }] });
  assert(
    property(array(oneof(string(), constant('ERROR: Backup of VM 999 failed'))), (lines) => {
      const { failed } = parseVzdumpLog(lines);
      expect(failed.every(({ reason }) => reason.length <= 200)).toBe(true);
    }),
  );
});
