import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { alertsIn, readDelivery, sentAt } from '../../../test/parts/delivery.ts';
import { intake } from './grafana.ts';
import { intake as webhook } from './alertmanager-webhook.ts';

/** After the documentation of Grafana 12. */
const payload = {
  receiver: 'My Super Webhook',
  status: 'firing',
  orgId: 1,
  alerts: [
    {
      status: 'firing',
      labels: { alertname: 'High memory usage', team: 'blue', zone: 'us-1' },
      annotations: {
        description: 'The system has high memory usage',
        summary: 'This alert was triggered for zone us-1',
      },
      startsAt: '2026-11-20T11:51:03.157076+02:00',
      endsAt: '0001-01-01T00:00:00Z',
      generatorURL: 'https://play.grafana.org/alerting/1afz29v7z/edit',
      fingerprint: 'c6eadffa33fcdf37',
      silenceURL: 'https://play.grafana.org/alerting/silence/new',
      dashboardURL: '',
      panelURL: '',
      values: { B: 44.23943737541908, C: 1 },
    },
    {
      status: 'resolved',
      labels: { alertname: 'High CPU usage', team: 'blue', zone: 'eu-1' },
      annotations: {},
      startsAt: '2026-11-20T10:00:00Z',
      endsAt: '2026-11-20T11:00:00Z',
    },
  ],
  groupLabels: {},
  externalURL: 'https://play.grafana.org/',
  version: '1',
  groupKey: '{}:{}',
  truncatedAlerts: 0,
  title: '[FIRING:1]',
  state: 'alerting',
  message: '**Firing**',
};

test('alerts fire and end, with the values of the rule', () => {
  const [memory, cpu] = alertsIn(intake, payload);
  expect(memory).toMatchObject({
    status: 'firing',
    severity: 'warning',
    summary: 'This alert was triggered for zone us-1',
    startsAt: Date.parse('2026-11-20T09:51:03.157Z'),
  });
  expect(memory).not.toHaveProperty('endsAt');
  expect(memory?.details).toContain('B = 44.23943737541908');
  expect(cpu).toMatchObject({ status: 'resolved', endsAt: Date.parse('2026-11-20T11:00:00Z') });
});

test('a rule without data or with an error is unknown and no more than a warning', () => {
  for (const alertname of ['DatasourceNoData', 'DatasourceError']) {
    const labels = { alertname, rulename: 'disk', severity: 'critical' };
    expect(alertsIn(intake, { alerts: [{ status: 'firing', labels }] })[0]).toMatchObject({
      condition: 'unknown',
      severity: 'warning',
      summary: expect.stringContaining('"disk"') as string,
    });
  }
});

test('a test is shown as information and ends by itself', () => {
  const labels = { alertname: 'TestAlert', instance: 'Grafana' };
  const [alert] = alertsIn(intake, {
    alerts: [{ status: 'firing', labels, annotations: { summary: 'Notification test' } }],
  });
  expect(alert).toMatchObject({ severity: 'info', endsAt: sentAt + 300_000 });
});

test("Alertmanager's own webhook is read the same way", () => {
  const [firing] = alertsIn(webhook, { ...payload, version: '4' });
  expect(firing).toMatchObject({ status: 'firing', labels: payload.alerts[0]?.labels });
  expect(readDelivery(webhook, { version: '4', alerts: 'none' })).toMatchObject({ is: 'refused', status: 400 });
});

describe('a signature', () => {
  const secret = 'shared-with-grafana';
  const body = JSON.stringify(payload);
  const sign = (text: string): string => createHmac('sha256', secret).update(text).digest('hex');
  const where = { secret: { env: 'X' } };

  test('over the body is demanded and checked', () => {
    const read = (headers: Record<string, string>) =>
      readDelivery(intake, body, { options: { signature: where }, headers, secret });
    expect(read({ 'x-grafana-alerting-signature': sign(body) })).toMatchObject({ is: 'alerts' });
    for (const headers of [
      {},
      { 'x-grafana-alerting-signature': sign(`${body} `) },
      { 'x-grafana-alerting-signature': '' },
    ]) {
      expect(read(headers)).toMatchObject({ is: 'refused', status: 401 });
    }
  });

  test('with a time is over both, and an old one is refused', () => {
    const timestampHeader = 'X-Grafana-Alerting-Signature-Timestamp';
    const at = (seconds: number | string) =>
      readDelivery(intake, body, {
        options: { signature: { ...where, timestampHeader } },
        headers: {
          'x-grafana-alerting-signature': sign(`${seconds}:${body}`),
          [timestampHeader.toLowerCase()]: String(seconds),
        },
        secret,
      });
    expect(at(sentAt / 1_000)).toMatchObject({ is: 'alerts' });
    for (const wrong of [sentAt / 1_000 - 301, sentAt / 1_000 + 301, 'soon', '']) {
      expect(at(wrong)).toMatchObject({ is: 'refused', status: 401 });
    }
  });
});
