import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { courseEvidence } from '#agents/sentinel/probes/course.ts';
import { judgeAbsence, judgementOptions, judgeSeries } from '#agents/sentinel/probes/judgement.ts';
import { limitsOf, oneSided, oneSidedFault } from '#agents/sentinel/probes/levels-option.ts';
import { createMetrics, type Metrics, metricsOptions } from '#agents/sentinel/probes/prometheus-api.ts';
import { findingQuery, measuredPart, selectors } from '#agents/sentinel/probes/promql.ts';
import { unseen } from '#agents/sentinel/probes/reading.ts';
import { seriesName } from '#agents/sentinel/probes/series.ts';
import { evidenceOf, resourceName } from '#agents/sentinel/probes/text.ts';

const expression = z.string().trim().min(1).max(8_000);

const Options = z
  .strictObject({
    ...metricsOptions,
    query: expression.describe('PromQL or MetricsQL expression; each of its series is one thing that is looked at.'),
    ...judgementOptions,
    present: expression
      .optional()
      .describe(
        'Without thresholds: what must give a series for an empty result to be well. Default: every selector of the query.',
      ),
  })
  .refine(oneSided, oneSidedFault);
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'prometheus-query',
  about: 'A query of Prometheus or VictoriaMetrics: each series against thresholds, or bad because it is there.',
  options: Options,
  reach: 'network',
  resourceOf,
  observe,
  evidence: { about: 'the last hour of what the query measures, as bars', gather },
});

function resourceOf({ query }: Options): string {
  return resourceName(query.replaceAll(/\s+/g, ' '));
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const whole = resourceOf(options);
  const unknown = (reason: string): Observation => unseen({ condition: options.condition, resource: whole }, reason);
  const ready = createMetrics(options, context);
  if (!ready.ok) return [unknown(ready.reason)];
  const asked = await ready.metrics.query(options.query);
  if (!asked.ok) return [unknown(asked.reason)];
  const found =
    asked.value.length > 0
      ? judgeSeries(options, asked.value, whole)
      : judgeAbsence(options, whole, await blindness(options, ready.metrics));
  return asked.partial === undefined
    ? found
    : [...found.filter(({ resource }) => resource !== whole), unknown(asked.partial)];
}

/** Why an empty result says nothing; undefined when what the query reads is there and nothing of it is bad. */
async function blindness(options: Options, metrics: Metrics): Promise<string | undefined> {
  if (options.absent !== undefined) return undefined;
  if (limitsOf(options) !== undefined) return 'the query gives no series';
  const wanted = options.present === undefined ? selectors(options.query) : [options.present];
  if (wanted === undefined) return 'the query gives no series, and what it reads is not plain';
  if (wanted.length === 0) return undefined;
  const asked = await metrics.query(findingQuery(wanted));
  if (!asked.ok) return `the query gives no series, and whether there is one to find: ${asked.reason}`;
  const found = new Set(asked.value.map(({ labels }) => labels['selector']));
  const missing = wanted.filter((_selector, index) => !found.has(String(index)));
  return missing.length === 0 ? undefined : `nothing exports ${missing.join(', ')}, so this can never be bad`;
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const ready = createMetrics(options, context);
  if (!ready.ok) return [];
  const { resourceFrom } = options;
  const nameOf = (labels: Record<string, string>): string =>
    resourceFrom === undefined
      ? seriesName(labels)
      : resourceFrom
          .map((name) => labels[name] ?? '')
          .join(' ')
          .trim();
  const measured = measuredPart(options.query);
  return [
    ...evidenceOf('state', 'Query', [options.query]),
    ...(await courseEvidence(ready.metrics, measured, {
      isWanted: (labels) => nameOf(labels) === observation.resource,
      nameOf,
    })),
  ];
}
