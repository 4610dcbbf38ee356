import { expect, test } from 'vitest';
import { fingerprintOf } from '#bus/fingerprint.ts';
import { alertsIn, readDelivery, sentAt } from '../../../test/parts/delivery.ts';
import { intake } from './uptime-kuma.ts';

const monitor = {
  id: 3,
  name: 'Jellyfin',
  url: 'http://10.0.0.5:8096',
  hostname: null,
  type: 'http',
  tags: [] as unknown[],
};
const down = {
  heartbeat: {
    monitorID: 3,
    status: 0,
    time: '2026-11-20 12:00:00.000',
    msg: 'connect ECONNREFUSED',
    important: true,
    duration: 60,
  },
  monitor,
  msg: '[Jellyfin] [🔴 Down] connect ECONNREFUSED',
};

test('a monitor goes down and comes back, and is the same one when it was renamed between', () => {
  const [before] = alertsIn(intake, down);
  const [after] = alertsIn(intake, {
    ...down,
    heartbeat: { ...down.heartbeat, status: 1 },
    monitor: { ...monitor, name: 'TV' },
  });
  expect(before).toMatchObject({
    status: 'firing',
    severity: 'critical',
    summary: 'Jellyfin is down: connect ECONNREFUSED',
  });
  expect(before?.more).toMatchObject({ monitor: 'Jellyfin', instance: 'http://10.0.0.5:8096' });
  expect(after?.status).toBe('resolved');
  expect(before && after && fingerprintOf(before.labels) === fingerprintOf(after.labels)).toBe(true);
});

test('maintenance ends it, and a tag says how bad it is', () => {
  expect(alertsIn(intake, { ...down, heartbeat: { ...down.heartbeat, status: 3 } })[0]?.status).toBe('resolved');
  const tags = [{ name: 'Severity', value: 'low' }];
  expect(alertsIn(intake, { ...down, monitor: { ...monitor, tags } })[0]?.severity).toBe('info');
});

test('a test is information, and a notice of a certificate is more', () => {
  const test = { heartbeat: null, monitor: null, msg: 'lares Testing' };
  expect(alertsIn(intake, test)[0]).toMatchObject({ severity: 'info', endsAt: sentAt + 300_000 });
  const msg = '[Jellyfin][https://tv.example.org] server certificate tv.example.org will expire in 7 days';
  expect(alertsIn(intake, { heartbeat: null, monitor: null, msg })[0]).toMatchObject({
    labels: { alertname: 'certificate-expiring', monitor: 'Jellyfin', instance: 'https://tv.example.org' },
    severity: 'warning',
    summary: 'Jellyfin: the certificate expires in 7 days',
  });
});

test('a body that is none is refused with the reason', () => {
  expect(readDelivery(intake, 'status=0')).toMatchObject({ is: 'refused', reason: 'the body is no JSON' });
  expect(readDelivery(intake, { heartbeat: { status: 'down' } })).toMatchObject({ is: 'refused', status: 400 });
});
