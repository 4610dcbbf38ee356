import { expect, test } from 'vitest';
import { fingerprintOf } from '#bus/fingerprint.ts';
import { alertsIn, readDelivery, sentAt } from '../../../test/parts/delivery.ts';
import { intake } from './alertmanager.ts';

/** As Prometheus 2.42 posts it. */
const posted = {
  annotations: { description: 'nothing answers on 10.0.0.5:9100', summary: 'Instance web is down' },
  endsAt: '2026-11-20T12:04:00.123Z',
  startsAt: '2026-11-20T11:59:30.123456789Z',
  generatorURL: 'http://prom:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1',
  labels: { alertname: 'InstanceDown', instance: '10.0.0.5:9100', job: 'node', severity: 'critical' },
};

test('an alert fires until its end and carries its own labels and words', () => {
  expect(alertsIn(intake, [posted])).toEqual([
    {
      status: 'firing',
      labels: posted.labels,
      severity: 'critical',
      condition: 'problem',
      summary: 'Instance web is down',
      details: ['description: nothing answers on 10.0.0.5:9100'],
      startsAt: Date.parse('2026-11-20T11:59:30.123Z'),
      endsAt: Date.parse(posted.endsAt),
      generatorUrl: posted.generatorURL,
    },
  ]);
});

test('an end in the past resolves, no end and the zero time leave it to the timeout', () => {
  const [over] = alertsIn(intake, [{ ...posted, endsAt: '2026-11-20T11:59:59Z' }]);
  expect(over?.status).toBe('resolved');
  for (const endsAt of [undefined, null, '0001-01-01T00:00:00Z', '']) {
    expect(alertsIn(intake, [{ ...posted, endsAt }])[0]).toMatchObject({ status: 'firing' });
    expect(alertsIn(intake, [{ ...posted, endsAt }])[0]).not.toHaveProperty('endsAt');
  }
});

test('labels without a value are no part of what it is known by', () => {
  const labels = { alertname: 'HighMemory', instance: 'server', empty: '' };
  const [alert] = alertsIn(intake, [{ labels }]);
  expect(alert?.labels).toEqual({ alertname: 'HighMemory', instance: 'server' });
  expect(alert && fingerprintOf(alert.labels)).toBe(fingerprintOf({ instance: 'server', alertname: 'HighMemory' }));
});

test('one bad alert does not keep out the others, and is told', () => {
  const reading = readDelivery(intake, [
    posted,
    { labels: {} },
    { nonsense: true },
    7,
    { ...posted, startsAt: '2026-11-20T13:00:00Z' },
  ]);
  expect(reading).toMatchObject({ is: 'alerts' });
  if (reading.is !== 'alerts') return;
  expect(reading.alerts).toHaveLength(1);
  expect(reading.refused).toHaveLength(4);
  expect(reading.refused?.join()).toContain('at least one label pair required');
  expect(reading.refused?.join()).toContain('start time must be before end time');
});

test('an alert that only shows that alerting works is counted', () => {
  const reading = readDelivery(intake, [{ labels: { alertname: 'Watchdog', severity: 'none' } }]);
  expect(reading).toMatchObject({ is: 'alerts', alerts: [], counted: 1 });
});

test('severities are read in the words of many, and an unknown one is a warning', () => {
  const severityOf = (severity?: string): string | undefined =>
    alertsIn(intake, [{ labels: { alertname: 'a', ...(severity !== undefined && { severity }) } }], { now: sentAt })[0]
      ?.severity;
  expect(['critical', 'page', 'ERROR', 'P1'].map(severityOf)).toEqual(Array.from({ length: 4 }, () => 'critical'));
  expect(['warning', 'Warn', 'P3', 'nonsense', undefined].map(severityOf)).toEqual(
    Array.from({ length: 5 }, () => 'warning'),
  );
  expect(['info', 'notice', 'debug'].map(severityOf)).toEqual(['info', 'info', 'info']);
});
