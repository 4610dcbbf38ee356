import { createHmac } from 'node:crypto';
import { fingerprintOf } from '#bus/fingerprint.ts';
import { expect, test } from 'vitest';
import { alertsIn, readDelivery } from '../../../test/parts/delivery.ts';
import { intake } from './patchmon.ts';

const body = {
  event_type: 'host_security_updates_exceeded',
  severity: 'warning',
  title: 'Security updates on web',
  message: 'web has 7 security updates',
  reference: { type: 'host', id: '4f2c' },
  metadata: { host_id: '4f2c', host_name: 'web', count: 7 },
  app_link: 'https://patchmon.lan/hosts/4f2c',
};

test('what begins and what ends a state are the same alert', () => {
  const [begun] = alertsIn(intake, body);
  const [ended] = alertsIn(intake, {
    ...body,
    event_type: 'host_security_updates_resolved',
    severity: 'informational',
  });
  expect(begun).toMatchObject({
    status: 'firing',
    severity: 'warning',
    labels: { alertname: 'security-updates' },
    more: { hostname: 'web' },
  });
  expect(ended?.status).toBe('resolved');
  expect(begun && ended && fingerprintOf(begun.labels) === fingerprintOf(ended.labels)).toBe(true);
});

test('other events are only counted', () => {
  expect(readDelivery(intake, { ...body, event_type: 'user_login' })).toMatchObject({ alerts: [], counted: 1 });
});

test('a signature is checked where a secret is configured', () => {
  const text = JSON.stringify(body);
  const secret = 'shared-with-patchmon';
  const signature = `sha256=${createHmac('sha256', secret).update(text).digest('hex')}`;
  const read = (headers: Record<string, string>) =>
    readDelivery(intake, text, { options: { secret: { env: 'X' } }, headers, secret });
  expect(read({ 'x-patchmon-signature': signature })).toMatchObject({ is: 'alerts' });
  expect(read({})).toMatchObject({ is: 'refused', status: 401 });
  expect(read({ 'x-patchmon-signature': `${signature.slice(0, -1)}g` })).toMatchObject({ is: 'refused', status: 401 });
});
