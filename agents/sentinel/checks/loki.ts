import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { presence } from '#agents/sentinel/probes/api.ts';
import { courseEvidence } from '#agents/sentinel/probes/course.ts';
import { judgeAbsence, judgeSeries } from '#agents/sentinel/probes/judgement.ts';
import { createLoki, hasStreams, lineEvidence, readRetention, selectorOf } from '#agents/sentinel/probes/loki.ts';
import { LokiCheckOptions } from '#agents/sentinel/probes/loki-options.ts';
import { silenceObservations, surgeObservations } from '#agents/sentinel/probes/loki-silence.ts';
import type { Metrics } from '#agents/sentinel/probes/prometheus-api.ts';
import { logPart } from '#agents/sentinel/probes/promql.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { type SelfMetric, selfObservations, worstOnly } from '#agents/sentinel/probes/self-metrics.ts';
import { seriesName } from '#agents/sentinel/probes/series.ts';
import { resourceName } from '#agents/sentinel/probes/text.ts';

type Options = LokiCheckOptions;

export const check = defineCheck({
  kind: 'loki',
  about:
    'Grafana Loki: whether it is ready, a query of its logs, hosts that fell silent, surges of lines, lines that it throws away, retention.',
  options: LokiCheckOptions,
  reach: 'network',
  resourceOf: () => name,
  observe,
  evidence: {
    about: 'the last lines of what is counted or fell silent, and the last hour of a query, as bars',
    gather,
  },
});

const name = 'Loki';

const selfMetrics: readonly SelfMetric[] = [
  {
    metric: 'loki_discarded_samples_total',
    bad: 'rising',
    condition: 'lines-discarded',
    severity: 'warning',
    by: 'reason',
    says: (reason) => `lines are thrown away: ${reason === '' ? 'no reason is given' : reason}`,
  },
  {
    metric: 'loki_ingester_wal_disk_full_failures_total',
    bad: 'rising',
    condition: 'log-disk-full',
    severity: 'critical',
    says: () => 'it cannot write because its disk is full',
  },
];

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const ready = createLoki(options, context);
  if (!ready.ok) return [unseen({ condition: 'loki-down', resource: name }, ready.reason)];
  const { metrics } = ready;
  const health = await readiness(options, metrics, context);
  if (health.reading.is !== 'state') return [health];
  if (!health.reading.ok) {
    // Another check tells of Loki itself.
    return [options.itself ? health : unseen({ condition: 'loki-query', resource: name }, 'it is not ready')];
  }
  const found = options.itself ? [health, ...(await ownState(options, metrics, context))] : [];
  if (options.query !== undefined) found.push(...(await queried(options, options.query, { metrics, context })));
  for (const silent of options.silent) found.push(...(await silenceObservations(silent, metrics, context)));
  for (const surge of options.surges) found.push(...(await surgeObservations(surge, metrics, context)));
  return worstOnly(found);
}

/** What it tells of itself. */
async function ownState(options: Options, metrics: Metrics, context: CheckContext): Promise<Observation[]> {
  const of = { resource: name, metrics: selfMetrics, gauges: ['loki_build_info'] };
  return [
    ...(options.selfMetrics ? (await selfObservations(metrics, of, context)).observations : []),
    ...(options.retention ? await retention(metrics, context) : []),
  ];
}

/** For the first 15 seconds it answers 503: it starts, and is not down. */
async function readiness(options: Options, metrics: Metrics, { clock, memory }: CheckContext): Promise<Observation> {
  const said = { condition: 'loki-down', resource: name };
  const answer = await metrics.text({ path: '/ready' });
  const isStarting = answer.is === 'refused' && answer.status === 503 && /not ready|starting/i.test(answer.body);
  if (!isStarting) {
    remember(memory, 'startingSince', 0);
    return presence(answer, { ...said, name });
  }
  const before = Number(memory.get('startingSince') ?? 0);
  const since = before > 0 ? before : clock.now();
  remember(memory, 'startingSince', since);
  return clock.now() - since < options.startingFor
    ? unseen(said, `it is starting: ${answer.body}`)
    : presence(answer, { ...said, name });
}

const retentionEveryMs = 6 * 60 * 60_000;
const KnownRetention = z.object({ at: z.number(), retention: z.enum(['kept-for-ever', 'deleted']).nullable() });

async function retention(metrics: Metrics, { clock, memory }: CheckContext): Promise<Observation[]> {
  let known = KnownRetention.safeParse(memory.get('retention')).data;
  if (known === undefined || clock.now() - known.at >= retentionEveryMs) {
    const answer = await metrics.text({ path: '/config' });
    // A proxy that hides it hides nothing that is wrong.
    known = { at: clock.now(), retention: (answer.is === 'value' ? readRetention(answer.value) : undefined) ?? null };
    remember(memory, 'retention', known);
  }
  if (known.retention === null) return [];
  const isKept = known.retention === 'kept-for-ever';
  return [
    state({
      condition: 'log-retention-missing',
      resource: name,
      summary: isKept ? `${name} keeps all lines for ever, until the disk is full` : `${name} deletes old lines`,
      ok: !isKept,
      severity: 'info',
    }),
  ];
}

async function queried(
  options: Options,
  query: string,
  of: { metrics: Metrics; context: CheckContext },
): Promise<Observation[]> {
  const whole = resourceName(query);
  const asked = await of.metrics.query(query);
  if (!asked.ok) return [unseen({ condition: options.condition, resource: whole }, asked.reason)];
  if (asked.value.length > 0) return judgeSeries(options, asked.value, whole);
  return judgeAbsence(options, whole, await blindness(options, query, of));
}

/** No line is no series. That is well where there are streams, and says nothing where there is none. */
async function blindness(
  options: Options,
  query: string,
  of: { metrics: Metrics; context: CheckContext },
): Promise<string | undefined> {
  if (options.absent !== undefined) return undefined;
  const selector = selectorOf(query);
  if (selector === undefined) return 'the query gives no series';
  const asked = await hasStreams(of.metrics, selector, of.context);
  if (!asked.ok) return asked.reason;
  return asked.value ? undefined : `nothing has written to ${selector} within a day`;
}

const hourMs = 60 * 60_000;

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const ready = createLoki(options, context);
  if (!ready.ok) return [];
  const { metrics } = ready;
  const { condition, resource } = observation;
  if (condition === 'logs-silent') return lastWords(options, { metrics, context }, observation);
  if (condition === 'log-surge') {
    const surge = options.surges.find((one) => one.by !== undefined || resourceName(one.lines) === resource);
    return surge === undefined ? [] : lineEvidence(metrics, { query: surge.lines, spanMs: surge.span }, context);
  }
  if (options.query === undefined || condition !== options.condition) return [];
  const lines = logPart(options.query);
  return [
    ...(await courseEvidence(metrics, options.query, {
      isWanted: (labels) => seriesName(labels) === resource,
      nameOf: seriesName,
    })),
    ...(lines === undefined ? [] : await lineEvidence(metrics, { query: lines, spanMs: hourMs }, context)),
  ];
}

/** What was written before the silence. */
async function lastWords(
  options: Options,
  of: { metrics: Metrics; context: CheckContext },
  { labels = {} }: Observation,
): Promise<Evidence[]> {
  const silent = options.silent.find(({ label }) => label === undefined || labels[label] !== undefined);
  if (silent === undefined) return [];
  const value = silent.label === undefined ? undefined : labels[silent.label];
  const query =
    value === undefined
      ? silent.selector
      : `${silent.selector.slice(0, -1)}, ${silent.label ?? ''}=${JSON.stringify(value)}}`;
  return lineEvidence(of.metrics, { query, spanMs: 24 * hourMs }, of.context);
}
