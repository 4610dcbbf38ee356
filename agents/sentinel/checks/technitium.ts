import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import {
  type Api,
  type ApiAnswer,
  apiOptions,
  createApi,
  presence,
  secretHeaders,
} from '#agents/sentinel/probes/api.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  token: SecretRef.describe('API token that does not expire, by /api/user/createToken.'),
  failuresAbove: z
    .number()
    .positive()
    .default(5)
    .describe('Percent of queries of the last hour that failed, a warning.'),
  blockedZonesBelow: z
    .number()
    .int()
    .nonnegative()
    .default(0)
    .describe(
      'Fewer names in the block lists are a warning: a list did not load. So are fewer than half of what there was in the last week.',
    ),
});
type Options = z.output<typeof Options>;

/** Every answer is HTTP 200; `status` tells: `ok`, `error`, `invalid-token`, `2fa-required` (API of 15.2). */
const Envelope = z.object({
  status: z.string(),
  errorMessage: z.string().optional(),
  response: z.unknown().optional(),
});
const Stats = z.object({
  stats: z.object({ totalQueries: z.number(), totalServerFailure: z.number(), blockListZones: z.number().default(0) }),
});
const Zones = z.object({
  zones: z.array(
    z.object({
      name: z.string(),
      type: z.string(),
      internal: z.boolean().default(false),
      disabled: z.boolean().default(false),
      isExpired: z.boolean().default(false),
      syncFailed: z.boolean().default(false),
      notifyFailed: z.boolean().default(false),
      notifyFailedFor: z.array(z.string()).default([]),
      soaSerial: z.number().optional(),
    }),
  ),
});
type Zone = z.output<typeof Zones>['zones'][number];

/** So few queries say nothing of a share. */
const fewQueries = 50;
const holdMs = 5 * 60_000;

export const check = defineCheck({
  kind: 'technitium',
  about:
    'Technitium DNS: whether it answers, queries that fail, block lists that did not load, zones that are behind or expired.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'technitium',
  observe,
  evidence: { about: 'all zones with type, serial and what failed', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const said = { condition: 'technitium-down', resource: 'technitium' };
  const headers = secretHeaders(options.token, context);
  if (typeof headers === 'string') return [unseen(said, headers)];
  const stats = await ask(api, Stats, {
    path: '/api/dashboard/stats/get',
    query: { type: 'LastHour', utc: true },
    headers,
  });
  const there = presence(stats, { ...said, name: 'Technitium DNS' });
  if (stats.is !== 'value') return [there];
  const zones = await ask(api, Zones, { path: '/api/zones/list', headers });
  const behind = { condition: 'dns-zone-failed', resource: 'zones' };
  return [
    there,
    ...judgeStats(stats.value.stats, options, context),
    ...(zones.is === 'value' ? judgeZones(zones.value.zones) : [unseen(behind, zones.reason)]),
  ];
}

async function ask<T>(api: Api, schema: z.ZodType<T>, call: Parameters<Api['json']>[1]): Promise<ApiAnswer<T>> {
  const answer = await api.json(Envelope, call);
  if (answer.is !== 'value') return answer;
  const { status, errorMessage, response } = answer.value;
  if (status !== 'ok') {
    const reason = `it says "${status}"${errorMessage === undefined ? '' : `: ${errorMessage}`}`;
    return { is: 'unreadable', reason };
  }
  const parsed = schema.safeParse(response);
  if (parsed.success) return { ...answer, value: parsed.data };
  return {
    is: 'unreadable',
    reason: `its answer has another shape at ${parsed.error.issues[0]?.path.join('.') ?? ''}`,
  };
}

function judgeStats(stats: z.output<typeof Stats>['stats'], options: Options, context: CheckContext): Observation[] {
  const share = stats.totalQueries < fewQueries ? 0 : (stats.totalServerFailure / stats.totalQueries) * 100;
  const failing = level({
    condition: 'dns-queries-failing',
    resource: 'queries',
    summary: `${stats.totalServerFailure} of ${stats.totalQueries} queries of the last hour failed`,
    value: share,
    unit: '%',
    bad: 'above',
    warning: options.failuresAbove,
  });
  const usual = usualBlocked(stats.blockListZones, context);
  const limit = Math.max(options.blockedZonesBelow, usual / 2);
  if (limit === 0) return [failing];
  const blocked = level({
    condition: 'dns-blocklist-empty',
    resource: 'block lists',
    summary: `the block lists hold ${stats.blockListZones} names${stats.blockListZones < usual ? `, they held ${usual}` : ''}`,
    value: stats.blockListZones,
    unit: 'names',
    bad: 'below',
    warning: limit,
    // They are empty for some minutes after a start.
    holdMs: 30 * 60_000,
  });
  return [failing, blocked];
}

/** Fewer names for so long is how it is wished. */
const acceptedMs = 7 * 86_400_000;
const hourMs = 3_600_000;
const Blocked = z.object({ most: z.number(), at: z.number() });

/** The most names that the block lists held lately: when a list cannot be fetched, the others still block. */
function usualBlocked(count: number, { clock, memory }: CheckContext): number {
  const now = clock.now();
  const before = Blocked.safeParse(memory.get('blocked'));
  const isUsual = !before.success || count >= before.data.most || now - before.data.at > acceptedMs;
  // By the hour, so that a look of each minute is not stored each minute.
  const usual = isUsual ? { most: count, at: Math.floor(now / hourMs) * hourMs } : before.data;
  remember(memory, 'blocked', usual);
  return usual.most;
}

function judgeZones(zones: readonly Zone[]): Observation[] {
  // Its own zones, such as localhost, are always there: who sees not even these may see none.
  if (zones.length === 0) {
    return [unseen({ condition: 'dns-zone-failed', resource: 'zones' }, 'it shows no zone to this token')];
  }
  const own = zones.filter(({ internal, disabled }) => !internal && !disabled);
  return [
    state({
      condition: 'dns-zone-failed',
      resource: 'zones',
      summary: `looked at ${counted(own.length, 'zone')}`,
      ok: true,
      severity: 'warning',
    }),
    ...own.slice(0, 500).map((zone) => {
      const why = whyBad(zone);
      return state({
        condition: 'dns-zone-failed',
        resource: zone.name,
        labels: { zone: zone.name },
        summary: why === undefined ? `zone ${zone.name} is well` : `zone ${zone.name} ${why}`,
        ok: why === undefined,
        severity: zone.isExpired ? 'critical' : 'warning',
        holdMs,
      });
    }),
  ];
}

function whyBad({ isExpired, syncFailed, notifyFailed, notifyFailedFor }: Zone): string | undefined {
  if (isExpired) return 'expired: it is not answered any more';
  if (syncFailed) return 'cannot be fetched from its primary';
  if (!notifyFailed) return undefined;
  return `could not notify ${notifyFailedFor.length === 0 ? 'its secondaries' : notifyFailedFor.join(', ')}`;
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const headers = secretHeaders(options.token, context);
  if (typeof headers === 'string') return [];
  const zones = await ask(createApi(options, context), Zones, { path: '/api/zones/list', headers });
  if (zones.is !== 'value') return [];
  const own = zones.value.zones.filter(({ internal }) => !internal);
  const lines = own.map(
    (zone) => `${zone.name} ${zone.type} serial ${zone.soaSerial ?? '-'} ${whyBad(zone) ?? 'well'}`,
  );
  return evidenceOf('state', 'Zones', lines);
}
