import { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import type { ExposedMetric } from './exposition.ts';
import { isPrivate, type Network, overlap, parseNetwork } from './networks.ts';
import { state } from './reading.ts';
import { counted, oneLine } from './text.ts';

/** `GET /v1/decisions`: the literal `null` when there are none. */
export const Decisions = z
  .array(
    z.object({
      origin: z.string().default(''),
      scope: z.string().default(''),
      value: z.string(),
      type: z.string().default('ban'),
      scenario: z.string().default(''),
      duration: z.string().default(''),
    }),
  )
  .nullable()
  .transform((list) => list ?? []);
export type Decision = z.output<typeof Decisions>[number];

/** `GET /v1/alerts`: `null` when there are none. Events are not kept: they are most of an answer. */
export const Alerts = z
  .array(
    z.object({
      id: z.number(),
      created_at: z.string(),
      scenario: z.string().default(''),
      message: z.string().default(''),
      events_count: z.number().default(1),
      source: z.object({ value: z.string().default('') }).nullish(),
    }),
  )
  .nullable()
  .transform((list) => list ?? []);
export type Alert = z.output<typeof Alerts>[number];

/** A decision on an address or a range that is ours. */
export function isOwn(decision: Decision, ours: readonly Network[], privateOnesToo: boolean): boolean {
  const network = parseNetwork(decision.value);
  if (network === undefined) return false;
  return (privateOnesToo && isPrivate(network)) || ours.some((own) => overlap(own, network));
}

/** The own addresses that are banned, one each, and how many decisions were looked at. */
export function ownBans(banned: readonly Decision[], looked: number): Observation[] {
  const condition = 'own-address-banned';
  const byValue = new Map(banned.map((decision) => [decision.value, decision]));
  return [
    state({
      condition,
      resource: 'own addresses',
      summary: `looked at ${counted(looked, 'decision')} for own addresses, ${byValue.size} found`,
      ok: true,
      severity: 'critical',
    }),
    ...[...byValue.values()].slice(0, 100).map(({ value, type, scenario, origin, duration }) =>
      state({
        condition,
        resource: value,
        holdMs: 0,
        labels: { address: oneLine(value, 60), origin: oneLine(origin, 60) },
        summary: `CrowdSec answers ${value}, an own address, with "${oneLine(type, 30)}" for ${oneLine(duration, 30).replace(/\.\d+s$/, 's')}: ${oneLine(scenario, 100)} (${oneLine(origin, 40)})`,
        ok: false,
        severity: 'critical',
      }),
    ),
  ];
}

/** Alerts of one scenario within a time: many at once are an attack that goes on. */
export function alertBursts(
  alerts: readonly Alert[],
  of: { burst: number; words: string; atLeast: boolean },
): Observation[] {
  const condition = 'attack-burst';
  const byScenario = Map.groupBy(alerts, ({ scenario }) => oneLine(scenario, 200) || 'no scenario');
  const sorted = [...byScenario].toSorted((a, b) => b[1].length - a[1].length);
  const listed = sorted
    .slice(0, 4)
    .map(([scenario, own]) => `${own.length} ${scenario}`)
    .join(', ');
  const count = `${of.atLeast ? 'at least ' : ''}${counted(alerts.length, 'alert')}`;
  return [
    state({
      condition,
      resource: 'alerts',
      summary: `${count} ${of.words}${listed === '' ? '' : `: ${listed}`}`,
      ok: true,
      severity: 'warning',
    }),
    ...sorted
      .filter(([, own]) => own.length >= of.burst)
      .slice(0, 50)
      .map(([scenario, own]) => {
        const sources = new Set(own.map(({ source }) => source?.value ?? ''));
        return state({
          condition,
          resource: scenario,
          holdMs: 0,
          labels: { scenario },
          summary: `${counted(own.length, 'alert')} of ${scenario} ${of.words}, from ${counted(sources.size, 'source')}`,
          ok: false,
          severity: 'warning',
        });
      }),
  ];
}

/** All acquisitions have these, whatever they read: files, the journal, syslog, containers. */
export const acquisitionMetrics = new Set(['cs_parser_hits_total', 'cs_parser_hits_ok_total', 'cs_active_decisions']);

/** What each acquisition has read, and since when it has read nothing more. JSON, kept between the looks. */
export type Acquisitions = Record<string, { hits: number; at: number }>;

const maximumSources = 100;
/** A source that is not read any more, because somebody took it out, is forgotten. */
const forgottenMs = 7 * 86_400_000;

export function readAcquisitions(
  metrics: readonly ExposedMetric[],
  known: Acquisitions,
  now: number,
): { sources: Acquisitions; parsed: Map<string, number> } {
  const hits = sums(metrics, 'cs_parser_hits_total');
  const sources: Acquisitions = {};
  for (const [source, count] of hits) {
    const before = known[source];
    // A restart begins at 0: any other number is a line that was read.
    sources[source] = before?.hits === count ? before : { hits: count, at: now };
  }
  for (const [source, before] of Object.entries(known)) {
    if (sources[source] === undefined && now - before.at < forgottenMs) sources[source] = before;
  }
  const bounded = Object.fromEntries(Object.entries(sources).slice(0, maximumSources));
  return { sources: bounded, parsed: sums(metrics, 'cs_parser_hits_ok_total') };
}

function sums(metrics: readonly ExposedMetric[], wanted: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const { name, labels, value } of metrics) {
    if (name !== wanted || !Number.isFinite(value)) continue;
    const source = oneLine(labels['source'] ?? '', 200) || 'no name';
    found.set(source, (found.get(source) ?? 0) + value);
  }
  return found;
}
