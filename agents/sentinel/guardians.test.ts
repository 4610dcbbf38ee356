import { expect, test } from 'vitest';
import { ClusterModel } from '../../test/parts/cluster-model.ts';
import { BackupModel, backupServerToken, startFakePbs } from '../../test/parts/fake-pbs.ts';
import { proxmoxToken, startFakeProxmox } from '../../test/parts/fake-proxmox.ts';
import { SentinelHours } from '../../test/parts/sentinel-hours.ts';

const minuteMs = 60_000;

process.env['LARES_TEST_PBS'] = backupServerToken;
process.env['LARES_TEST_PVE'] = proxmoxToken;

test('a refused login of the backup server is one finding of its guardian, which ends when the login is mended', async () => {
  const startAt = Date.parse('2026-11-20T12:00:00Z');
  let now = (): number => startAt;
  await using pbs = await startFakePbs(new BackupModel({ now: () => now() }));
  await using proxmox = await startFakeProxmox(new ClusterModel({ now: () => now() }));
  pbs.model.refusalDelayMs = 0;
  const guardian = 'backup-freshness';
  const token = { env: 'LARES_TEST_PBS' };
  const ofCluster = { url: proxmox.url, token: { env: 'LARES_TEST_PVE' }, look: ['backups'] };
  await using hours = await SentinelHours.begin({
    startAt,
    config: {
      defaultChecks: false,
      checks: [
        { id: 'pbs-main', kind: 'pbs', guardian, url: pbs.url, token, stores: ['main'] },
        { id: 'pbs-groups', kind: 'pbs', guardian, url: pbs.url, token },
        { id: 'cluster-backups', kind: 'proxmox', guardian, ...ofCluster },
      ],
    },
  });
  now = () => hours.clock.now();
  await hours.clock.advance(30 * minuteMs);
  expect(hours.fired).toEqual([]);
  expect(pbs.requests.length).toBeGreaterThan(0);

  pbs.fault = 'unauthorized';
  // The night's backups are made all the same; nobody can see them until the round of the next day.
  await hours.clock.advance(15 * 60 * minuteMs);
  backUpAll({ pbs: pbs.model, proxmox: proxmox.model });
  expect(hours.fired).toEqual([]);
  await hours.clock.advance(9 * 60 * minuteMs);
  expect(hours.fired).toMatchObject([
    { check: guardian, resource: guardian, status: 'firing', severity: 'warning', condition: 'problem' },
  ]);
  const [told] = hours.fired;
  expect(told?.labels).toMatchObject({ alertname: 'guardian-broken' });
  expect(told?.summary).toMatch(/^guardian backup-freshness is broken: 2 of 3 checks did not look: /);
  expect(told?.summary).toContain('pbs-main (');
  expect(told?.summary).toContain('pbs-groups (');
  expect(told?.summary).toMatch(/401|login/);
  expect(told?.summary).not.toContain('cluster-backups');
  expect(JSON.stringify(hours.bus.sent)).not.toContain(backupServerToken);

  pbs.fault = 'none';
  await hours.clock.advance(60 * minuteMs);
  expect(hours.fired).toHaveLength(1);
  expect(hours.told.at(-1)).toMatchObject({ occurrence: told?.occurrence, status: 'resolved' });
});

function backUpAll({ pbs, proxmox }: { pbs: BackupModel; proxmox: ClusterModel }): void {
  const groups = new Set(pbs.snapshots.map(({ type, id }) => `${type}/${id}`));
  for (const group of groups) pbs.backedUp(group, 0, { verification: 'ok' });
  for (const { vmid } of proxmox.guests) proxmox.backedUp(vmid, 0);
}
