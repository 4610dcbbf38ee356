import { z } from 'zod';
import { durationOr, formatDuration } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import type { Severity } from '#bus/fields.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type ApiAnswer, answered, presence, secretOf } from '#agents/sentinel/probes/api.ts';
import { asleep, level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';
import { levels } from '#agents/sentinel/probes/levels-option.ts';
import { callTruenas, type TruenasAt } from '#agents/sentinel/probes/truenas.ts';
import { known, observeParts, poolErrors, Topology } from '#agents/sentinel/probes/truenas-parts.ts';

const Options = z.strictObject({
  url: z
    .url({ protocol: /^https$/, error: 'must start with https://: TrueNAS revokes a key that comes in clear text' })
    .describe('Address of the web interface.'),
  token: SecretRef.describe('API key of a user who may read.'),
  user: z.string().min(1).max(100).optional().describe('Name of that user, needed from version 26 on.'),
  caFile: z.string().max(1_000).optional().describe('Certificates (PEM) to trust beside the usual authorities.'),
  verifyTls: z.boolean().default(true).describe('Whether the certificate must be trusted and for the name.'),
  onDemand: z.boolean().default(false).describe('Whether it may be off: silence is then sleep.'),
  scrub: durationOr('35d').describe('Age of the last scrub where a warning begins.'),
  temperature: levels({ warning: 45, critical: 55 }).prefault({}).describe('Degrees Celsius of a disk.'),
  ignoreServices: z
    .array(z.string().max(100))
    .max(50)
    .default([])
    .describe('Services that start by themselves and may be stopped, such as ups.'),
  ignoreApps: z.array(z.string().max(100)).max(100).default([]).describe('Names of apps that may be stopped.'),
});
type Options = z.output<typeof Options>;

/** `pool.query`, `alert.list` and `app.query` of TrueNAS 25, beside those of the parts. Times are `{"$date": ms}`. */
const Time = z.object({ $date: z.number() }).nullish();
const Pools = z.array(
  z.object({
    name: z.string(),
    status: z.string(),
    healthy: z.boolean(),
    status_detail: z.string().nullish(),
    size: z.number().nullish(),
    allocated: z.number().nullish(),
    topology: Topology,
    scan: z.object({ function: z.string().nullish(), end_time: Time, errors: z.number().nullish() }).nullish(),
  }),
);
const Alerts = z.array(
  z.object({
    uuid: z.string(),
    klass: z.string(),
    level: z.string(),
    formatted: z.string().nullish(),
    dismissed: z.boolean(),
  }),
);
const Apps = z.array(z.object({ name: z.string(), state: z.string() }));

const severities: Record<string, Severity> = {
  WARNING: 'warning',
  ERROR: 'warning',
  CRITICAL: 'critical',
  ALERT: 'critical',
  EMERGENCY: 'critical',
};

export const check = defineCheck({
  kind: 'truenas',
  about:
    'TrueNAS 25 and newer: pools, their room, errors and scrubs, its own alerts, hot disks, services that stopped, apps that crashed.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'truenas',
  observe,
  evidence: { about: 'its pools and its own alerts in full', gather },
});

/** A system without a pool has lost them, or shows none to this key: neither is well. */
function poolsSeen(count: number): Observation {
  const said = { condition: 'zfs-pool-unhealthy', resource: 'pools' };
  if (count === 0) return unseen(said, 'it shows no pool');
  return state({ ...said, summary: `looked at ${counted(count, 'pool')}`, ok: true, severity: 'critical' });
}

function whereOf(options: Options, context: CheckContext): ApiAnswer<TruenasAt> {
  const key = secretOf(options.token, context);
  if (!key.ok) return { is: 'unable', reason: key.reason };
  const { url, user, caFile, verifyTls } = options;
  return answered({ url, key: key.value, user, caFile, verifyTls });
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const said = { condition: 'truenas-down', resource: 'truenas' };
  const where = whereOf(options, context);
  if (where.is !== 'value') return [unseen(said, where.reason)];
  const pools = await callTruenas(where.value, { method: 'pool.query', params: [[], {}], schema: Pools }, context);
  if (pools.is === 'silent' && options.onDemand) {
    return [asleep({ ...said, summary: 'TrueNAS rests' }, `it may rest: ${pools.reason}`)];
  }
  const there = presence(pools, { ...said, name: 'TrueNAS' });
  if (pools.is !== 'value') return [there];
  const alerts = await callTruenas(where.value, { method: 'alert.list', params: [], schema: Alerts }, context);
  const apps = await callTruenas(where.value, { method: 'app.query', params: [], schema: Apps }, context);
  return [
    there,
    poolsSeen(pools.value.length),
    ...pools.value.slice(0, 50).flatMap((pool) => judgePool(pool, options, context.clock.now())),
    ...(alerts.is === 'value'
      ? judgeAlerts(alerts.value)
      : [unseen({ condition: 'truenas-alert', resource: 'alerts' }, alerts.reason)]),
    ...known(apps, { condition: 'app-crashed', resource: 'apps' }, (all) => judgeApps(all, options)),
    ...(await observeParts(where.value, options, context)),
  ];
}

function judgePool(pool: z.output<typeof Pools>[number], options: Options, now: number): Observation[] {
  const { name, status, healthy, status_detail: detail, size, allocated, scan } = pool;
  const said = { resource: name, labels: { pool: name.slice(0, 100) } };
  const why = detail === null || detail === undefined ? '' : `: ${detail}`;
  const used = size && allocated ? (allocated / size) * 100 : undefined;
  return [
    state({
      ...said,
      condition: 'zfs-pool-unhealthy',
      summary: `pool ${name} is ${status}${why}`,
      ok: healthy && status === 'ONLINE',
      severity: 'critical',
    }),
    ...(used === undefined
      ? []
      : [
          level({
            ...said,
            condition: 'zfs-pool-full',
            summary: `pool ${name} is ${used.toFixed(0)} % full`,
            value: used,
            unit: '%',
            bad: 'above',
            warning: 80,
            critical: 90,
          }),
        ]),
    ...poolErrors(name, pool.topology),
    ...scrubOf(said, scan, { name, options, now }),
  ];
}

function scrubOf(
  said: { resource: string; labels: Record<string, string> },
  scan: z.output<typeof Pools>[number]['scan'],
  { name, options, now }: { name: string; options: Options; now: number },
): Observation[] {
  const endedAt = scan?.function === 'SCRUB' ? scan.end_time?.$date : undefined;
  if (endedAt === undefined) return [];
  const age = now - endedAt;
  const errors = scan?.errors ?? 0;
  const span = formatDuration(Math.floor(age / 3_600_000) * 3_600_000);
  return [
    state({
      ...said,
      condition: 'zfs-scrub-old',
      summary: `pool ${name} was scrubbed ${span} ago, ${counted(errors, 'error')}`,
      ok: age <= options.scrub && errors === 0,
      severity: 'warning',
      holdMs: 0,
    }),
  ];
}

function judgeAlerts(alerts: z.output<typeof Alerts>): Observation[] {
  const open = alerts.filter(({ dismissed, level: word }) => !dismissed && severities[word] !== undefined);
  return [
    state({
      condition: 'truenas-alert',
      resource: 'alerts',
      summary: `TrueNAS has ${counted(open.length, 'alert')}`,
      ok: true,
      severity: 'warning',
    }),
    ...open.slice(0, 200).map(({ uuid, klass, level: word, formatted }) =>
      state({
        condition: 'truenas-alert',
        resource: `${klass} ${uuid.slice(0, 8)}`,
        labels: { class: klass.slice(0, 100) },
        summary: `TrueNAS: ${formatted ?? klass}`,
        ok: false,
        severity: severities[word] ?? 'warning',
        holdMs: 0,
      }),
    ),
  ];
}

function judgeApps(apps: z.output<typeof Apps>, { ignoreApps }: Options): Observation[] {
  return apps
    .filter(({ name }) => !ignoreApps.includes(name))
    .slice(0, 100)
    .map(({ name, state: now }) => {
      const said = { condition: 'app-crashed', resource: name, labels: { app: name.slice(0, 100) } };
      const summary = `app ${name} of TrueNAS is ${now}`;
      if (now === 'STOPPED') return asleep({ ...said, summary }, 'it is stopped');
      return state({ ...said, summary, ok: now !== 'CRASHED', severity: 'critical' });
    });
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const where = whereOf(options, context);
  if (where.is !== 'value') return [];
  const pools = await callTruenas(where.value, { method: 'pool.query', params: [[], {}], schema: Pools }, context);
  const alerts = await callTruenas(where.value, { method: 'alert.list', params: [], schema: Alerts }, context);
  return [
    ...evidenceOf(
      'state',
      'Pools',
      pools.is === 'value'
        ? pools.value.map(({ name, status, status_detail: why }) => `${name} ${status} ${why ?? ''}`.trim())
        : [],
    ),
    ...evidenceOf(
      'log',
      'Alerts of TrueNAS',
      alerts.is === 'value'
        ? alerts.value.map(({ level: word, formatted, klass }) => `${word} ${formatted ?? klass}`)
        : [],
    ),
  ];
}
