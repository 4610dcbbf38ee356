import * as fc from 'fast-check';
import { fingerprintOf } from '#bus/fingerprint.ts';
import { describe, expect, test } from 'vitest';
import { Finding } from '#bus/messages/finding.ts';
import { registerSecret } from '#bus/scrub.ts';
import { Intake } from '#config/intake-config.ts';
import { loadPlugins } from '#agents/runtime/plugins.ts';
import { readDelivery, sentAt } from '../../../test/parts/delivery.ts';
import { foreignFinding } from './finding.ts';
import { parseJsonPath, valuesAt } from './json-path.ts';
import { openAlert } from './open-alert.ts';
import type { IntakeDefinition, Source } from './source.ts';

const kinds = await loadPlugins({
  folder: new URL('../intake/', import.meta.url),
  exportName: 'intake',
  kindOf: (intake: IntakeDefinition) => intake.kind,
});

/** The least options of the kinds that need any. */
const options: Record<string, Record<string, unknown>> = {
  json: { map: { title: '$.title', labels: { name: '*' }, status: 'status', time: 'time', severity: 'severity' } },
  mqtt: { topics: ['#'], map: { title: 'topic[0]', alerts: '$.alerts[*]' } },
};

const words =
  'alerts labels annotations status startsAt endsAt generatorURL alertname severity summary values heartbeat monitor msg id name tags value endpoint group url title message fields type hostname ts rule level agent timestamp groups mitre full_log data all_fields event_type metadata host_name reference source cron host symptom context time __proto__ constructor'.split(
    ' ',
  );
const text = fc.oneof(
  fc.constantFrom(
    'firing',
    'resolved',
    'critical',
    'TRIGGERED',
    'host_down',
    'error',
    'vzdump',
    'TestAlert',
    '2026-11-20T12:00:00Z',
    '0001-01-01T00:00:00Z',
    '',
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', minLength: 0, maxLength: 3_000 }),
);
const { document } = fc.letrec((tie) => ({
  document: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    text,
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('document'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...words), text), tie('document'), { maxKeys: 8 }),
  ),
}));
/** Documents that come near to what is expected. */
const alert = fc.record(
  {
    status: fc.constantFrom('firing', 'resolved', 'x'),
    labels: fc.dictionary(fc.oneof(fc.constantFrom(...words), text), text, { maxKeys: 70 }),
    annotations: fc.dictionary(text, text, { maxKeys: 5 }),
    startsAt: text,
    endsAt: text,
    values: document,
  },
  { requiredKeys: ['labels'] },
);
const near = fc.record(
  {
    alerts: fc.array(alert, { maxLength: 4 }),
    heartbeat: fc.oneof(fc.constant(null), fc.record({ status: fc.integer({ min: 0, max: 4 }), msg: text })),
    monitor: fc.record({ id: fc.integer(), name: text, url: text }),
    msg: text,
    status: fc.constantFrom('TRIGGERED', 'RESOLVED', 'firing'),
    endpoint: text,
    title: text,
    message: text,
    severity: text,
    ts: fc.double(),
    fields: fc.dictionary(fc.constantFrom('type', 'hostname', 'job-id'), text),
    rule: fc.record({ id: text, level: fc.integer({ min: 0, max: 17 }), description: text }),
    agent: fc.record({ name: text, ip: text }),
    timestamp: fc.oneof(text, fc.double()),
    event_type: fc.constantFrom('host_down', 'host_recovered', 'test', 'x'),
    metadata: document,
    source: text,
    cron: text,
    host: text,
    symptom: text,
    context: document,
    time: fc.oneof(text, fc.double()),
  },
  { requiredKeys: [] },
);

const secret = 'hunter2-hunter2-hunter2';
registerSecret(secret);

describe.each([...kinds])('whatever is sent as %s', (kind, definition) => {
  const config = Intake.parse({ kind });
  const source: Source = {
    name: 'some',
    kind,
    config,
    definition,
    options: {},
    resolveAfterMs: undefined,
    severities: new Map(),
  };

  /** What is wrong with what is made of it; nothing, it is hoped. */
  function faultsOf(body: string): unknown[] {
    const reading = readDelivery(definition, body, { options: options[kind] ?? {}, topic: 'a/b' });
    if (reading.is === 'refused') return reading.reason.length <= 300 ? [] : ['a long reason'];
    return reading.alerts.flatMap((read) => {
      const finding = foreignFinding(read, {
        fingerprint: fingerprintOf(read.labels),
        source,
        now: sentAt,
        hostOf: () => undefined,
      });
      const kept = JSON.stringify([finding, openAlert(read, sentAt, sentAt)]);
      const { error } = Finding.safeParse(finding);
      return [
        ...(error?.issues ?? []),
        ...(kept.includes(secret) ? [kept] : []),
        ...(kept.length > 300_000 ? ['large'] : []),
      ];
    });
  }

  test('is read or refused, and what is made of it is a finding', () => {
    const bodies = fc.oneof(
      near.map((one) => JSON.stringify(one)),
      fc.array(alert, { maxLength: 3 }).map((one) => JSON.stringify(one)),
      document.map((one) => JSON.stringify(one) ?? ''),
      fc.string({ unit: 'binary', maxLength: 200 }),
    );
    fc.assert(
      fc.property(bodies, (body) => {
        expect(faultsOf(body)).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  test('carries no secret on', () => {
    const labels = { alertname: 'a', url: `https://u:${secret}@x/`, token: secret, note: `password=${secret}` };
    const posted = [{ labels, annotations: { summary: secret, description: `Authorization: Bearer ${secret}` } }];
    const told = {
      alerts: [{ status: 'firing', labels, annotations: { summary: secret } }],
      title: secret,
      severity: 'error',
    };
    for (const body of [posted, told]) expect(faultsOf(JSON.stringify(body))).toEqual([]);
  });
});

test('a label whose name says secret keeps none, though nobody registered it', () => {
  const definition = kinds.get('alertmanager');
  if (definition === undefined) throw new Error('The kind is gone');
  const labels = { alertname: 'a', api_token: 'tkn-zzzzzzzzzz' };
  const reading = readDelivery(definition, [{ labels }]);
  const [read] = reading.is === 'alerts' ? reading.alerts : [];
  expect(read && openAlert(read, 0, 0).labels['api_token']).toBe('[redacted]');
});

test('any path that can be parsed reads any document', () => {
  const characters = ['$', '.', '[', ']', '*', "'", '"', '\\', 'a', 'b', '0', ' ', '_'];
  const paths = fc.string({ unit: fc.constantFrom(...characters), maxLength: 20 });
  const isRead = (path: string, value: unknown): boolean => {
    const parsed = parseJsonPath(path);
    return parsed === undefined || Array.isArray(valuesAt(value, parsed));
  };
  fc.assert(
    fc.property(paths, document, (path, value) => {
      expect(isRead(path, value)).toBe(true);
    }),
    { numRuns: 500 },
  );
});
