import { createHash } from 'node:crypto';
import { z } from 'zod';
import { formatDuration } from '#config/duration.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import type { Api, ApiAnswer } from './api.ts';
import { cloudflareResult } from './cloudflare-api.ts';
import { FieldPath, fieldOf, timeIn } from './json-field.ts';
import { hasLimit, hasLimitFault, someLevels, spans } from './levels-option.ts';
import { level, state, unseen } from './reading.ts';
import { remember } from './remembered.ts';
import { formatBytes, jsonOf, oneLine } from './text.ts';

const minuteMs = 60_000;
const gib = 1_073_741_824;

const WantedValue = z.strictObject({
  namespace: z
    .string()
    .regex(/^[0-9a-f]{32}$/, 'must be 32 hexadecimal digits')
    .describe('Id of the namespace.'),
  key: z.string().min(1).max(512).describe('Key in it.'),
  timePath: FieldPath.optional().describe(
    'Field of the JSON value that says when it was written (ISO or epoch). Absent: its age counts from the last change that was seen.',
  ),
  age: spans({ warning: '1h', critical: '6h' }).prefault({}).describe('How old the value may get.'),
});
type WantedValue = z.output<typeof WantedValue>;

/** What is kept at Cloudflare: Workers KV and R2. */
export const storageOptions = {
  values: z.array(WantedValue).max(20).default([]).describe('Values of Workers KV that have to be there and fresh.'),
  buckets: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9-]{1,62}$/, 'must be the name of a bucket'))
    .max(50)
    .default([])
    .describe('Buckets of R2 that have to be there.'),
  bucketStorage: someLevels()
    .refine(hasLimit, hasLimitFault)
    .optional()
    .describe('GiB that all buckets of R2 may hold together, such as 8 and 10: the first 10 GB are free.'),
};
const Options = z.object(storageOptions);
export type StorageOptions = z.output<typeof Options>;

/** Whether an account has to be named for what is asked. */
export function asksStorage({ values, buckets, bucketStorage }: StorageOptions): boolean {
  return values.length > 0 || buckets.length > 0 || bucketStorage !== undefined;
}

interface Of {
  account: string;
  headers: Record<string, string>;
  context: CheckContext;
}

export async function lookAtStorage(api: Api, options: StorageOptions, of: Of): Promise<Observation[]> {
  const values = [...new Map(options.values.map((value) => [nameOf(value), value])).values()];
  const found = await Promise.all([
    ...values.map((value) => lookAtValue(api, value, of)),
    ...[...new Set(options.buckets)].map((name) => lookAtBucket(api, name, of)),
    options.bucketStorage === undefined ? [] : lookAtBytes(api, options.bucketStorage, of),
  ]);
  return found.flat();
}

/** The same key may be in two namespaces; the beginning of an id tells them apart. */
function nameOf({ namespace, key }: WantedValue): string {
  return `${key} in ${namespace.slice(0, 8)}`;
}

async function lookAtValue(api: Api, wanted: WantedValue, of: Of): Promise<Observation[]> {
  const resource = nameOf(wanted);
  const path = `/accounts/${of.account}/storage/kv/namespaces/${wanted.namespace}/values/${encodeURIComponent(wanted.key)}`;
  const answer = await api.text({ path, headers: of.headers, mayBePage: true });
  const there = presence(answer, { condition: 'kv-value-missing', resource, name: `the value ${wanted.key}` });
  if (answer.is !== 'value') return [there];
  const said = { condition: 'kv-value-old', resource, holdMs: 0 };
  const writtenAt =
    wanted.timePath === undefined ? changedAt(answer.value, resource, of) : timeOf(answer.value, wanted);
  if (writtenAt === undefined) {
    return [there, unseen(said, `it is no JSON with a time at ${wanted.timePath ?? 'its field'}`)];
  }
  const ageMs = Math.max(0, of.context.clock.now() - writtenAt);
  const seen = wanted.timePath === undefined ? 'was last seen changing' : 'was written';
  return [
    there,
    level({
      ...said,
      summary: `the value ${wanted.key} ${seen} ${formatDuration(Math.floor(ageMs / minuteMs) * minuteMs)} ago`,
      value: ageMs / minuteMs,
      unit: 'min',
      bad: 'above',
      warning: wanted.age.warning / minuteMs,
      critical: wanted.age.critical / minuteMs,
    }),
  ];
}

function timeOf(text: string, { timePath = '' }: WantedValue): number | undefined {
  return timeIn(fieldOf(jsonOf(text), timePath));
}

const Seen = z.object({ hash: z.string(), at: z.number() });

/** Cloudflare does not tell when a value was written. */
function changedAt(text: string, resource: string, { context }: Of): number {
  const key = `value ${resource}`;
  const hash = createHash('sha256').update(text).digest('base64').slice(0, 16);
  const before = Seen.safeParse(context.memory.get(key));
  const at = before.success && before.data.hash === hash ? before.data.at : context.clock.now();
  remember(context.memory, key, { hash, at });
  return at;
}

async function lookAtBucket(api: Api, name: string, of: Of): Promise<Observation[]> {
  const path = `/accounts/${of.account}/r2/buckets/${name}`;
  const answer = await cloudflareResult(api, z.object({ name: z.string() }), { path, headers: of.headers });
  return [presence(answer, { condition: 'bucket-missing', resource: name, name: `the bucket ${name}` })];
}

/** That something is not there is Cloudflare's own 404; any other refusal says nothing about it. */
function presence(
  answer: ApiAnswer<unknown>,
  { name, ...said }: { condition: string; resource: string; name: string },
): Observation {
  const words = { ...said, severity: 'critical' } as const;
  if (answer.is === 'value') return state({ ...words, summary: `${name} is there`, ok: true });
  const isMissing = answer.is === 'refused' && answer.status === 404 && answer.body.includes('"success"');
  return isMissing ? state({ ...words, summary: `there is not ${name}`, ok: false }) : unseen(said, answer.reason);
}

const Amount = z.object({ payloadSize: z.number().default(0), metadataSize: z.number().default(0) }).prefault({});
const Class = z.object({ published: Amount, uploaded: Amount }).prefault({});
const Metrics = z.object({ standard: Class, infrequentAccess: Class });

/** Parts of uploads that never ended count and cost as well. */
async function lookAtBytes(
  api: Api,
  { warning, critical }: NonNullable<StorageOptions['bucketStorage']>,
  of: Of,
): Promise<Observation[]> {
  const said = { condition: 'bucket-storage-high', resource: 'buckets' };
  const path = `/accounts/${of.account}/r2/metrics`;
  const answer = await cloudflareResult(api, Metrics, { path, headers: of.headers });
  if (answer.is !== 'value') return [unseen(said, answer.reason)];
  const amounts = [answer.value.standard, answer.value.infrequentAccess].flatMap((one) => [
    one.published,
    one.uploaded,
  ]);
  const bytes = amounts.reduce((sum, { payloadSize, metadataSize }) => sum + payloadSize + metadataSize, 0);
  const summary = `the buckets of R2 hold ${oneLine(formatBytes(bytes), 20)}`;
  return [level({ ...said, summary, value: bytes / gib, unit: 'GiB', bad: 'above', warning, critical })];
}
