import { z } from 'zod';
import { type ForeignAlert, type Reading, readingOf } from '#agents/sentinel/foreign/alert.ts';
import { parseBody } from '#agents/sentinel/foreign/body.ts';
import { brokerOptions, subscriptionOf } from '#agents/sentinel/foreign/broker-options.ts';
import { instantOf } from '#agents/sentinel/foreign/prometheus-alert.ts';
import { type Delivery, defineIntake } from '#agents/sentinel/foreign/source.ts';

const Payload = z.object({
  source: z.string().max(500),
  cron: z.string().max(500),
  severity: z.string().max(100),
  timestamp: z.union([z.string(), z.number()]),
  host: z.string().max(500).nullish(),
  symptom: z.string(),
  context: z.record(z.string(), z.unknown()).nullish(),
});
type Payload = z.output<typeof Payload>;

/** Words that end what was said before. */
const over = new Set(['ok', 'resolved', 'recovered', 'clear', 'cleared']);
/** News that ask for nobody's attention. */
const unimportant = new Set(['debug', 'info']);

export const intake = defineIntake({
  kind: 'guardian-events',
  about:
    'Events of scheduled agents as JSON on MQTT: source, cron, severity, timestamp, host, symptom, context. Severity info and debug is only counted.',
  options: z.strictObject({
    ...brokerOptions,
    topics: brokerOptions.topics.default(['+/guardian/+/+']),
  }),
  maximumBytes: 262_144,
  // Most of the jobs run once a day; what they do not say again is over.
  resolveAfterMs: 25 * 3_600_000,
  read,
  subscription: subscriptionOf,
});

function read(_options: unknown, delivery: Delivery): Reading {
  const parsed = parseBody(Payload, delivery.body);
  if (!parsed.ok) return parsed.refusal;
  const alert = alertOf(parsed.value, delivery);
  return alert === undefined ? readingOf([], 1) : readingOf([alert]);
}

function alertOf(event: Payload, { severityOf }: Delivery): ForeignAlert | undefined {
  const word = event.severity.trim().toLowerCase();
  if (unimportant.has(word)) return undefined;
  const severity = over.has(word) ? 'info' : severityOf(word);
  if (severity === undefined) return undefined;
  const { source, cron, host, symptom } = event;
  const saidAt = timeOf(event.timestamp);
  const isHost = typeof host === 'string' && host !== '';
  return {
    status: over.has(word) ? 'resolved' : 'firing',
    severity,
    condition: 'problem',
    labels: { alertname: cron, source, symptom: withoutNumbers(symptom), ...(isHost && { host }) },
    summary: isHost ? `${host}: ${symptom}` : symptom,
    details: contextLines(event.context),
    ...(saidAt !== undefined && { saidAt }),
  };
}

/** A disk that is 91 % full and then 92 % is one symptom. */
function withoutNumbers(symptom: string): string {
  return symptom.slice(0, 1_000).replaceAll(/\d+(?:[.,]\d+)*/g, '#');
}

function contextLines(context: Payload['context']): string[] {
  return Object.entries(context ?? {})
    .slice(0, 20)
    .map(
      ([name, value]) => `${name.slice(0, 80)}: ${typeof value === 'string' ? value : (JSON.stringify(value) ?? '')}`,
    );
}

function timeOf(timestamp: string | number): number | undefined {
  if (typeof timestamp === 'string') return instantOf(timestamp);
  return timestamp < 1e11 ? timestamp * 1_000 : timestamp;
}
