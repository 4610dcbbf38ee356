import { describe, expect, test } from 'vitest';
import { alertsIn, readDelivery, sentAt } from '../../../test/parts/delivery.ts';
import { intake as events } from './guardian-events.ts';
import { intake as json } from './json.ts';
import { intake as mqtt } from './mqtt.ts';

describe('JSON by paths of one’s own', () => {
  const map = {
    alerts: '$.items[*]',
    title: 'check.name',
    id: "$.check['unit id']",
    host: 'node',
    severity: 'prio',
    status: 'state',
    time: 'at',
    labels: { unit: 'labels[0]' },
  };

  test('names, severities, ends and times are found where they stand', () => {
    const body = {
      items: [
        {
          check: { name: 'disk', 'unit id': 7 },
          node: 'web',
          prio: 'high',
          state: 'down',
          at: sentAt / 1_000,
          labels: ['sda'],
        },
        { check: { name: 'disk', 'unit id': 8 }, node: 'web', prio: 'high', state: 'OK', at: '2026-11-20T12:00:00Z' },
      ],
    };
    expect(alertsIn(json, body, { options: { map } })).toMatchObject([
      {
        status: 'firing',
        severity: 'critical',
        labels: { alertname: 'disk', id: '7', host: 'web', unit: 'sda' },
        summary: 'web: disk',
        saidAt: sentAt,
      },
      { status: 'resolved', labels: { alertname: 'disk', id: '8', host: 'web' }, saidAt: sentAt },
    ]);
  });

  test('where the title is missing the document is refused with the path', () => {
    expect(readDelivery(json, { items: [{}] }, { options: { map } })).toMatchObject({
      alerts: [],
      refused: ['nothing stands at "check.name"'],
    });
  });

  test('a path that is none is refused in the configuration', () => {
    for (const title of ['$.a[', 'a..b', '$[?(@.x)]', ' ', '$.a b']) {
      expect([title, json.options.safeParse({ map: { title } }).success]).toEqual([title, false]);
    }
  });

  test('levels of the topic may be named', () => {
    const options = { topics: ['alerts/#'], map: { title: 'what', host: 'topic[1]' } };
    expect(alertsIn(mqtt, { what: 'leak' }, { options, topic: 'alerts/cellar/water' })[0]?.labels).toEqual({
      alertname: 'leak',
      host: 'cellar',
    });
  });

  test('topic filters are as MQTT has them', () => {
    const isFilter = (topic: string): boolean =>
      mqtt.options.safeParse({ topics: [topic], map: { title: 'a' } }).success;
    expect(['a/b', '+/b', 'a/#', '#', '/a/+/'].map(isFilter)).toEqual([true, true, true, true, true]);
    expect(['a/#/b', 'a+/b', 'a#', ''].map(isFilter)).toEqual([false, false, false, false]);
  });
});

describe('events of scheduled agents', () => {
  const event = {
    source: 'openfang',
    cron: 'disk-check',
    severity: 'warning',
    timestamp: '2026-11-20T11:59:00Z',
    host: 'ct196',
    symptom: 'disk 91% on /var',
    context: { used: 91, mount: '/var', note: 'token=abcdef123456' },
  };

  test('an event is an alert of its job, host and symptom, whatever the numbers in it', () => {
    const [alert] = alertsIn(events, event);
    expect(alert).toMatchObject({
      status: 'firing',
      severity: 'warning',
      summary: 'ct196: disk 91% on /var',
      labels: { alertname: 'disk-check', source: 'openfang', host: 'ct196', symptom: 'disk #% on /var' },
      saidAt: Date.parse(event.timestamp),
    });
    expect(alertsIn(events, { ...event, symptom: 'disk 92.5% on /var' })[0]?.labels).toEqual(alert?.labels);
  });

  test('info and debug are only counted, and ok ends it', () => {
    for (const severity of ['info', 'DEBUG']) {
      expect(readDelivery(events, { ...event, severity })).toMatchObject({ alerts: [], counted: 1 });
    }
    expect(alertsIn(events, { ...event, severity: 'ok' })[0]?.status).toBe('resolved');
  });

  test('an event without its fields is refused', () => {
    expect(readDelivery(events, { ...event, symptom: undefined })).toMatchObject({ is: 'refused', status: 400 });
  });
});
