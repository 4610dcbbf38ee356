import { expect, test } from 'vitest';
import { fingerprintOf } from '#bus/fingerprint.ts';
import { alertsIn, readDelivery, sentAt } from '../../../test/parts/delivery.ts';
import { intake } from './proxmox.ts';

const fields = { type: 'vzdump', hostname: 'pve1', 'job-id': 'backup-8f3d5a1e-1c2b' };
const failed = {
  title: 'vzdump backup status (pve1): backup failed',
  message: 'Details\n=======\nVMID    Name  Status\n101     web   err\n\nTotal running time: 3s',
  severity: 'error',
  ts: 1_795_176_000,
  fields,
};

test('a failed backup is over with the next good one of the same job', () => {
  const [bad] = alertsIn(intake, failed);
  const [good] = alertsIn(intake, {
    ...failed,
    severity: 'info',
    title: 'vzdump backup status (pve1): backup successful',
  });
  expect(bad).toMatchObject({ status: 'firing', severity: 'critical', summary: failed.title });
  expect(bad?.labels).toEqual({ alertname: 'proxmox-vzdump', hostname: 'pve1', job_id: fields['job-id'] });
  expect(bad?.details).toContain('101     web   err');
  expect(good?.status).toBe('resolved');
  expect(bad && good && fingerprintOf(bad.labels) === fingerprintOf(good.labels)).toBe(true);
});

test('news of packages is counted, a mail to root is a warning for a day, a test is information', () => {
  const news = { ...failed, severity: 'notice', fields: { type: 'package-updates', hostname: 'pve1' } };
  expect(readDelivery(intake, news)).toMatchObject({ is: 'alerts', alerts: [], counted: 1 });
  const mail = {
    title: 'SMART error (FailedOpenDevice) detected on host: pve1',
    message: '',
    severity: 'unknown',
    fields: { type: 'system-mail', hostname: 'pve1' },
  };
  expect(alertsIn(intake, mail)[0]).toMatchObject({ severity: 'warning', endsAt: sentAt + 86_400_000 });
  const test = {
    title: 'Test notification',
    message: 'This is a test of the notification target',
    severity: 'info',
    ts: 0,
    fields: {},
  };
  expect(alertsIn(intake, test)[0]).toMatchObject({ severity: 'info', labels: { alertname: 'TestAlert' } });
});

test('a fence is told for itself', () => {
  const [alert] = alertsIn(intake, {
    ...failed,
    title: "node 'pve2' fenced",
    fields: { type: 'fencing', hostname: 'pve1' },
  });
  expect(alert?.labels).toMatchObject({ alertname: 'proxmox-fencing', title: "node 'pve2' fenced" });
});
