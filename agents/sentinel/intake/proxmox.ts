import { z } from 'zod';
import type { Severity } from '#bus/fields.ts';
import { type ForeignAlert, type Reading, readingOf } from '#agents/sentinel/foreign/alert.ts';
import { parseBody } from '#agents/sentinel/foreign/body.ts';
import { type Delivery, defineIntake } from '#agents/sentinel/foreign/source.ts';

const Value = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const Payload = z.object({
  title: z.string(),
  message: z.string().nullish(),
  severity: z.string(),
  ts: z.number().nullish(),
  fields: z.record(z.string(), Value).nullish(),
});
type Payload = z.output<typeof Payload>;

const dayMs = 86_400_000;
/** A mail to root says nothing when its matter is over. */
const mailMs = dayMs;
const testMs = 5 * 60_000;

export const intake = defineIntake({
  kind: 'proxmox',
  about:
    'The webhook target of Proxmox VE 8.3 and Proxmox Backup Server. A failed backup or replication is over with the next good one.',
  options: z.strictObject({}),
  maximumBytes: 1_048_576,
  // A job that was deleted will never succeed again.
  resolveAfterMs: 7 * dayMs,
  read,
});

function read(_options: unknown, delivery: Delivery): Reading {
  const parsed = parseBody(Payload, delivery.body);
  if (!parsed.ok) return parsed.refusal;
  const alert = alertOf(parsed.value, delivery.now);
  return alert === undefined ? readingOf([], 1) : readingOf([alert]);
}

function alertOf(said: Payload, now: number): ForeignAlert | undefined {
  if (/^test notification$/i.test(said.title.trim())) {
    return {
      ...wordsOf(said),
      labels: { alertname: 'TestAlert' },
      status: 'firing',
      severity: 'info',
      endsAt: now + testMs,
    };
  }
  const severity = severities.get(said.severity.toLowerCase());
  const type = said.fields?.['type'] ?? 'notification';
  // What goes well ends what went wrong before; other news asks for nobody's attention.
  if (severity === undefined)
    return jobs.has(type) ? { ...wordsOf(said), status: 'resolved', severity: 'info' } : undefined;
  const isMail = type === 'system-mail';
  return { ...wordsOf(said), status: 'firing', severity, ...(isMail && { endsAt: now + mailMs }) };
}

/** Of Proxmox' severities; a forwarded mail is `unknown`, for nobody knows. */
const severities: ReadonlyMap<string, Severity> = new Map([
  ['error', 'critical'],
  ['warning', 'warning'],
  ['unknown', 'warning'],
]);

/** What is done again and again, and says so each time. */
const jobs: ReadonlySet<string> = new Set([
  'vzdump',
  'replication',
  'gc',
  'prune',
  'sync',
  'verify',
  'verification',
  'tape-backup',
]);

function wordsOf(said: Payload): Omit<ForeignAlert, 'status' | 'severity'> {
  const fields = said.fields ?? {};
  const { type = 'notification', hostname } = fields;
  const job = fields['job-id'];
  return {
    labels: {
      alertname: `proxmox-${type}`,
      ...(hostname !== undefined && { hostname }),
      ...(job !== undefined && { job_id: job }),
      // Without a job only its title tells one from another.
      ...(!jobs.has(type) && { title: said.title.slice(0, 200) }),
    },
    condition: 'problem',
    summary: said.title,
    details: (said.message ?? '')
      .split('\n')
      .slice(0, 200)
      .filter((line) => line.trim() !== ''),
    ...(typeof said.ts === 'number' && said.ts > 0 && { startsAt: said.ts * 1_000 }),
  };
}
