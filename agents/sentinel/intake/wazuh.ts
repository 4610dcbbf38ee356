import { z } from 'zod';
import type { Severity } from '#bus/fields.ts';
import { type ForeignAlert, type Reading, readingOf } from '#agents/sentinel/foreign/alert.ts';
import { parseBody } from '#agents/sentinel/foreign/body.ts';
import { instantOf } from '#agents/sentinel/foreign/prometheus-alert.ts';
import { type Delivery, defineIntake } from '#agents/sentinel/foreign/source.ts';

const Options = z.strictObject({
  minimumLevel: z.number().int().min(0).max(16).default(7).describe('Alerts below this level are only counted.'),
  criticalLevel: z.number().int().min(1).max(17).default(12).describe('From this level on they are critical.'),
});
type Options = z.output<typeof Options>;

const Id = z.union([z.string(), z.number()]).transform(String);
const Alert = z.object({
  timestamp: z.string().nullish(),
  rule: z.object({
    id: Id,
    level: z.coerce.number(),
    description: z.string().nullish(),
    groups: z.array(z.string()).max(200).nullish(),
    mitre: z.object({ id: z.union([z.array(z.string()).max(200), z.string()]).nullish() }).nullish(),
  }),
  agent: z.object({ id: Id.nullish(), name: z.string().nullish(), ip: z.string().nullish() }).nullish(),
  location: z.string().nullish(),
  full_log: z.string().nullish(),
  data: z.record(z.string(), z.unknown()).nullish(),
});
type Alert = z.output<typeof Alert>;
/** The alert itself, or as the integrations for Shuffle and Maltiverse wrap it. */
const Payload = z.union([Alert, z.object({ all_fields: Alert }).transform((wrapped) => wrapped.all_fields)]);

const hourMs = 3_600_000;

export const intake = defineIntake({
  kind: 'wazuh',
  about: 'A custom integration of Wazuh that posts each alert as JSON. One rule on one agent is one finding.',
  options: Options,
  maximumBytes: 1_048_576,
  // An event is no state: it is over when it did not come again.
  resolveAfterMs: hourMs,
  read,
});

function read(options: Options, delivery: Delivery): Reading {
  const parsed = parseBody(Payload, delivery.body);
  if (!parsed.ok) return parsed.refusal;
  const { level } = parsed.value.rule;
  if (!(level >= options.minimumLevel)) return readingOf([], 1);
  return readingOf([alertOf(parsed.value, level >= options.criticalLevel ? 'critical' : 'warning')]);
}

function alertOf(said: Alert, severity: Severity): ForeignAlert {
  const { rule, agent } = said;
  const name = agent?.name ?? 'manager';
  const saidAt = instantOf(said.timestamp);
  return {
    status: 'firing',
    severity,
    condition: 'problem',
    labels: { alertname: 'wazuh-alert', rule_id: rule.id, agent: name },
    more: moreOf(said),
    summary: `${name}: ${rule.description ?? `rule ${rule.id}`} (level ${rule.level})`,
    details: detailsOf(said),
    ...(saidAt !== undefined && { saidAt }),
  };
}

function moreOf({ rule, agent, data }: Alert): Record<string, string> {
  const source = data?.['srcip'];
  return {
    rule_groups: (rule.groups ?? []).slice(0, 10).join(','),
    ...(typeof agent?.ip === 'string' && { instance: agent.ip }),
    ...(typeof source === 'string' && { srcip: source }),
  };
}

function detailsOf(said: Alert): string[] {
  const techniques = [said.rule.mitre?.id ?? []].flat().slice(0, 10);
  const words = [said.full_log ?? '', said.location ?? '', ...techniques.map((id) => `MITRE ATT&CK ${id}`)];
  return words.flatMap((text) => text.split('\n').slice(0, 20)).filter((line) => line.trim() !== '');
}
