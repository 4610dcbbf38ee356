import { z } from 'zod';
import { SecretRef } from '#config/secret-ref.ts';
import { type ForeignAlert, type Reading, readingOf } from '#agents/sentinel/foreign/alert.ts';
import { parseBody } from '#agents/sentinel/foreign/body.ts';
import { isSigned } from '#agents/sentinel/foreign/signature.ts';
import { type Delivery, defineIntake } from '#agents/sentinel/foreign/source.ts';

const Options = z.strictObject({
  secret: SecretRef.optional().describe('The signing secret of the destination; demands its signature.'),
});
type Options = z.output<typeof Options>;

const Payload = z.object({
  event_type: z.string().min(1).max(100),
  severity: z.string().nullish(),
  title: z.string().nullish(),
  message: z.string().nullish(),
  reference: z.object({ type: z.string().nullish(), id: z.union([z.string(), z.number()]).nullish() }).nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  app_link: z.string().nullish(),
});
type Payload = z.output<typeof Payload>;

/** What begins a state, by what it is called; the other event of the pair ends it. */
const begins: ReadonlyMap<string, string> = new Map([
  ['host_down', 'host-down'],
  ['host_security_updates_exceeded', 'security-updates'],
  ['host_pending_updates_exceeded', 'updates-pending'],
  ['patch_run_failed', 'patch-run-failed'],
  ['patch_reboot_required', 'reboot-required'],
  ['compliance_scan_failed', 'compliance-scan-failed'],
]);
const ends: ReadonlyMap<string, string> = new Map([
  ['host_recovered', 'host-down'],
  ['host_security_updates_resolved', 'security-updates'],
  ['host_pending_updates_resolved', 'updates-pending'],
  ['patch_run_completed', 'patch-run-failed'],
  ['compliance_scan_completed', 'compliance-scan-failed'],
]);

export const intake = defineIntake({
  kind: 'patchmon',
  about: "PatchMon's webhook destination (2.0): hosts that are silent, updates that wait, patch runs that failed.",
  options: Options,
  maximumBytes: 262_144,
  // A reboot that was done is not told.
  resolveAfterMs: 7 * 86_400_000,
  read,
});

function read(options: Options, delivery: Delivery): Reading {
  const { secret } = options;
  const shown = delivery.headers['x-patchmon-signature'];
  if (secret !== undefined && !isSigned(shown, delivery.secret(secret), delivery.bytes)) {
    return { is: 'refused', status: 401, reason: 'the signature is missing or wrong' };
  }
  const parsed = parseBody(Payload, delivery.body);
  if (!parsed.ok) return parsed.refusal;
  const alert = alertOf(parsed.value, delivery);
  return alert === undefined ? readingOf([], 1) : readingOf([alert]);
}

function alertOf(said: Payload, { severityOf, now }: Delivery): ForeignAlert | undefined {
  if (said.event_type === 'test') return testOf(said, now);
  const begun = begins.get(said.event_type);
  const name = begun ?? ends.get(said.event_type);
  const severity = severityOf(said.severity ?? 'warning');
  if (name === undefined || severity === undefined) return undefined;
  const { id, host } = hostOf(said);
  return {
    ...wordsOf(said),
    status: begun === undefined ? 'resolved' : 'firing',
    labels: { alertname: name, host_id: id },
    ...(host !== undefined && { more: { hostname: host } }),
    severity,
  };
}

/** A host may be renamed: its id stays. */
function hostOf({ metadata, reference }: Payload): { id: string; host: string | undefined } {
  const host = textOf(metadata?.['host_name']) ?? textOf(metadata?.['hostname']);
  return { host, id: textOf(metadata?.['host_id']) ?? textOf(reference?.id) ?? host ?? '' };
}

function testOf(said: Payload, now: number): ForeignAlert {
  const endsAt = now + 5 * 60_000;
  return { ...wordsOf(said), labels: { alertname: 'TestAlert' }, status: 'firing', severity: 'info', endsAt };
}

function wordsOf(said: Payload): Pick<ForeignAlert, 'condition' | 'summary' | 'details'> & { generatorUrl?: string } {
  return {
    condition: 'problem',
    summary: said.title ?? said.message ?? said.event_type,
    details: (said.message ?? '').split('\n').slice(0, 40),
    ...(typeof said.app_link === 'string' && { generatorUrl: said.app_link }),
  };
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}
