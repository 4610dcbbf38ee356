import { z } from 'zod';
import { type ForeignAlert, type Reading, readingOf } from '#agents/sentinel/foreign/alert.ts';
import { faultText, refusal } from '#agents/sentinel/foreign/body.ts';
import { type Delivery, defineIntake } from '#agents/sentinel/foreign/source.ts';
import { jsonOf } from '#agents/sentinel/probes/text.ts';

const Text = z
  .string()
  .nullish()
  .transform((text) => text ?? '');
const Payload = z.object({
  status: z.string(),
  endpoint: z.string().min(1),
  group: Text,
  url: Text,
  severity: Text,
  description: Text,
  errors: Text,
  conditions: Text,
});
type Payload = z.output<typeof Payload>;

const keys = Object.keys(Payload.shape);

export const intake = defineIntake({
  kind: 'gatus',
  about: "Gatus' custom alert provider, with a body of `key: value` lines, or of JSON while no error holds a quote.",
  options: z.strictObject({}),
  maximumBytes: 262_144,
  read,
});

function read(_options: unknown, delivery: Delivery): Reading {
  const parsed = Payload.safeParse(jsonOf(delivery.body) ?? linesOf(delivery.body));
  if (!parsed.success) return refusal(faultText(parsed.error));
  const { data } = parsed;
  const status = statusOf(data.status);
  if (status === undefined) return refusal(`status: neither TRIGGERED nor RESOLVED but "${data.status.slice(0, 40)}"`);
  const severity = data.severity === '' ? 'critical' : delivery.severityOf(data.severity);
  return severity === undefined ? readingOf([], 1) : readingOf([alertOf(data, { status, severity })]);
}

function statusOf(word: string): ForeignAlert['status'] | undefined {
  if (/^(?:triggered|firing|down|failed)$/i.test(word)) return 'firing';
  return /^(?:resolved|ok|up)$/i.test(word) ? 'resolved' : undefined;
}

function alertOf(data: Payload, said: Pick<ForeignAlert, 'status' | 'severity'>): ForeignAlert {
  const name = data.group === '' ? data.endpoint : `${data.group}/${data.endpoint}`;
  const why = [data.description, data.errors].filter((text) => text !== '').join(': ');
  return {
    ...said,
    labels: { alertname: 'EndpointDown', endpoint: data.endpoint, ...(data.group !== '' && { group: data.group }) },
    ...(data.url !== '' && { more: { instance: data.url } }),
    condition: 'problem',
    summary: `${name} is down${why === '' ? '' : `: ${why}`}`,
    details: [data.errors, data.conditions].filter((text) => text !== ''),
  };
}

/** Gatus puts its values in as they are: an error with a quote breaks JSON, a line it cannot break. */
function linesOf(body: string): Record<string, string> {
  const found: Record<string, string> = {};
  let last: string | undefined;
  for (const line of body.slice(0, 100_000).split('\n').slice(0, 500)) {
    const match = /^\s*([a-z]{1,20})\s*:\s?(.*)$/.exec(line);
    const key = match?.[1] ?? '';
    if (keys.includes(key) && found[key] === undefined) {
      found[key] = (match?.[2] ?? '').trim();
      last = key;
    } else if (last !== undefined) {
      found[last] = `${found[last] ?? ''}\n${line}`.trim();
    }
  }
  return found;
}
