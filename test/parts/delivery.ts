import type { Severity } from '#bus/fields.ts';
import type { ForeignAlert, Reading } from '#agents/sentinel/foreign/alert.ts';
import { severityFrom } from '#agents/sentinel/foreign/severity.ts';
import type { Delivery, IntakeDefinition } from '#agents/sentinel/foreign/source.ts';

export const sentAt = Date.UTC(2026, 10, 20, 12);

interface Sending {
  options?: Record<string, unknown>;
  headers?: Record<string, string>;
  topic?: string;
  now?: number;
  secret?: string;
}

/** What a kind of intake makes of a body, a text or something to be JSON. */
export function readDelivery(intake: IntakeDefinition, body: unknown, sending: Sending = {}): Reading {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const severityOf: Delivery['severityOf'] = (word) => {
    const severity: Severity | 'none' = severityFrom(word);
    return severity === 'none' ? undefined : severity;
  };
  return intake.read(intake.options.parse(sending.options ?? {}), {
    body: text,
    bytes: Buffer.from(text),
    headers: sending.headers ?? {},
    ...(sending.topic !== undefined && { topic: sending.topic }),
    now: sending.now ?? sentAt,
    severityOf,
    severityLabel: 'severity',
    secret: () => sending.secret ?? '',
  });
}

/** The alerts of a body that can be read. */
export function alertsIn(intake: IntakeDefinition, body: unknown, sending: Sending = {}): readonly ForeignAlert[] {
  const reading = readDelivery(intake, body, sending);
  if (reading.is !== 'alerts') throw new Error(`It was refused: ${reading.reason}`);
  return reading.alerts;
}
