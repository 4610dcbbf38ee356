import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { courseEvidence } from '#agents/sentinel/probes/course.ts';
import { alertOptions } from '#agents/sentinel/probes/foreign-alert.ts';
import { createMetrics, metricsOptions } from '#agents/sentinel/probes/prometheus-api.ts';
import { measuredPart } from '#agents/sentinel/probes/promql.ts';
import { unseen } from '#agents/sentinel/probes/reading.ts';
import { RuleRound } from '#agents/sentinel/probes/rule-round.ts';
import { seriesName } from '#agents/sentinel/probes/series.ts';
import { evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...metricsOptions,
  files: z
    .array(z.string().min(1).max(1_000))
    .min(1)
    .max(50)
    .describe(
      'Rule files of Prometheus or vmalert, YAML or JSON, relative to the configuration, and `shipped:homelab` for the ones that ship. Read again when changed.',
    ),
  ...alertOptions,
  externalLabels: z
    .record(z.string().max(100), z.string().max(500))
    .default({})
    .describe('Labels for templates that speak of `$externalLabels`.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'prometheus-rules',
  about:
    'Alert rules as they are, asked of Prometheus or VictoriaMetrics: `for`, labels and annotations as in Prometheus.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'rules',
  observe,
  evidence: { about: 'the rule with its place, and the last hour of what it measures, as bars', gather },
});

const rounds = new WeakMap<Options, RuleRound>();

function roundOf(options: Options): RuleRound {
  const known = rounds.get(options);
  if (known !== undefined) return known;
  const fresh = new RuleRound(options);
  rounds.set(options, fresh);
  return fresh;
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const ready = createMetrics(options, context);
  if (!ready.ok) return [unseen({ condition: 'rule-evaluation', resource: 'rules' }, ready.reason)];
  return roundOf(options).look(ready.metrics, context);
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const rule = roundOf(options)
    .rules(context)
    .find(({ condition }) => condition === observation.condition);
  const ready = createMetrics(options, context);
  if (rule === undefined || !ready.ok) return [];
  const holds = rule.holdMs === 0 ? '' : `, for ${formatDuration(rule.holdMs)}`;
  return [
    ...evidenceOf('state', `Rule ${rule.alert}`, [
      `${rule.place}, group ${rule.group}${holds}`,
      ...rule.expression.split('\n'),
      ...Object.entries(rule.annotations).map(([name, text]) => `${name}: ${text}`),
    ]),
    ...(await courseEvidence(ready.metrics, measuredPart(rule.expression), {
      isWanted: (labels) => seriesName(labels) === observation.resource,
      nameOf: seriesName,
    })),
  ];
}
