import { z } from 'zod';
import { SecretRef } from '#config/secret-ref.ts';
import type { ForeignAlert, Reading } from '#agents/sentinel/foreign/alert.ts';
import { isSigned } from '#agents/sentinel/foreign/signature.ts';
import { type Delivery, defineIntake } from '#agents/sentinel/foreign/source.ts';
import { readWebhook } from '#agents/sentinel/foreign/webhook.ts';

const Options = z.strictObject({
  signature: z
    .strictObject({
      secret: SecretRef.describe('The secret of the contact point.'),
      header: z.string().max(100).default('X-Grafana-Alerting-Signature').describe('Header with the signature.'),
      timestampHeader: z.string().max(100).optional().describe('Header with the time, as set in the contact point.'),
    })
    .optional()
    .describe('Demands the HMAC signature that Grafana 12 adds.'),
});
type Options = z.output<typeof Options>;

/** A signature with a time is good for so long, so that nobody sends an old one again. */
const freshMs = 5 * 60_000;
/** A test says nothing when it is over. */
const testMs = 5 * 60_000;

export const intake = defineIntake({
  kind: 'grafana',
  about:
    "The webhook contact point of Grafana's alerting. Rules without data or with an error are unknown, a test is shown.",
  options: Options,
  maximumBytes: 1_048_576,
  read,
});

function read(options: Options, delivery: Delivery): Reading {
  if (!isGenuine(options, delivery)) return { is: 'refused', status: 401, reason: 'the signature is missing or wrong' };
  return readWebhook(delivery, (alert, told) => refined(alert, told.values, delivery.now));
}

function refined(alert: ForeignAlert, values: unknown, now: number): ForeignAlert {
  const name = alert.labels['alertname'] ?? '';
  const details = [...alert.details, ...valueLines(values)];
  if (name === 'DatasourceNoData' || name === 'DatasourceError') {
    const rule = alert.labels['rulename'] ?? alert.labels['datasource_uid'] ?? 'a rule';
    const what = name === 'DatasourceNoData' ? 'gets no data' : 'cannot ask its data source';
    const summary = alert.summary === name ? `Grafana: "${rule}" ${what}` : alert.summary;
    return { ...alert, details, condition: 'unknown', severity: 'warning', summary };
  }
  if (name === 'TestAlert') return { ...alert, details, severity: 'info', endsAt: alert.endsAt ?? now + testMs };
  return { ...alert, details };
}

function valueLines(values: unknown): string[] {
  if (typeof values !== 'object' || values === null) return [];
  return Object.entries(values)
    .slice(0, 10)
    .map(([name, value]) => `${name.slice(0, 60)} = ${JSON.stringify(value) ?? ''}`);
}

/** The code is over the body, or over `<unix seconds>:<body>` where a header for the time is configured. */
function isGenuine({ signature }: Options, { headers, bytes, now, secret }: Delivery): boolean {
  if (signature === undefined) return true;
  const shown = headers[signature.header.toLowerCase()];
  const key = secret(signature.secret);
  if (signature.timestampHeader === undefined) return isSigned(shown, key, bytes);
  const time = headers[signature.timestampHeader.toLowerCase()];
  if (typeof time !== 'string' || !/^\d{1,12}$/.test(time)) return false;
  return Math.abs(now - Number(time) * 1_000) <= freshMs && isSigned(shown, key, `${time}:`, bytes);
}
