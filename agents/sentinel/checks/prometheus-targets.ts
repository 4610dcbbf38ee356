import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { presence } from '#agents/sentinel/probes/api.ts';
import type { ExposedMetric } from '#agents/sentinel/probes/exposition.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { levels } from '#agents/sentinel/probes/levels-option.ts';
import { createMetrics, type Metrics, metricsOptions } from '#agents/sentinel/probes/prometheus-api.ts';
import { gauges, productNames, selfMetrics } from '#agents/sentinel/probes/prometheus-self.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { ScrapeTargets, targetObservations } from '#agents/sentinel/probes/scrape-targets.ts';
import { metricValue, selfObservations } from '#agents/sentinel/probes/self-metrics.ts';
import { counted, evidenceOf, formatBytes } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...metricsOptions,
  product: z
    .enum(['prometheus', 'victoria-metrics', 'vmagent', 'vmalert'])
    .default('prometheus')
    .describe('What answers there.'),
  ignore: z
    .array(z.string().max(200))
    .max(200)
    .default([])
    .describe('Jobs whose targets may be down; `*` stands for any text.'),
  atLeast: z
    .number()
    .int()
    .min(0)
    .max(100_000)
    .optional()
    .describe('Fewer targets than that are a problem. Default: 1 for Prometheus and vmagent, 0 for VictoriaMetrics.'),
  seriesAbove: z
    .number()
    .positive()
    .optional()
    .describe('More series in memory than that are a warning. Absent: never.'),
  free: levels({ warning: 5, critical: 1, least: 0, most: 1_000_000 })
    .prefault({})
    .describe('VictoriaMetrics: GiB that are free on its disk.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'prometheus-targets',
  about:
    'Prometheus, VictoriaMetrics, vmagent or vmalert itself: targets that are down, alerts that reach nobody, a configuration that does not load, storage.',
  options: Options,
  reach: 'network',
  resourceOf: ({ product }) => productNames[product],
  observe,
  evidence: { about: "what other targets of the job say, a target's last error, and rules that fail", gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const name = productNames[options.product];
  const said = { condition: 'metrics-down', resource: name };
  const ready = createMetrics(options, context);
  if (!ready.ok) return [unseen(said, ready.reason)];
  const { metrics } = ready;
  const path = options.product === 'prometheus' ? '/-/ready' : '/health';
  const health = presence(await metrics.text({ path }), { ...said, name });
  if (health.reading.is !== 'state' || !health.reading.ok) return [health];
  const self = await selfObservations(
    metrics,
    { resource: name, metrics: selfMetrics[options.product], gauges: gauges[options.product] },
    context,
  );
  return [
    health,
    ...self.observations,
    ...(await targets(options, metrics)),
    ...(options.product === 'prometheus' ? await alertmanagers(metrics, name) : []),
    ...gaugesOf(options, self.exposed),
  ];
}

async function targets(options: Options, metrics: Metrics): Promise<Observation[]> {
  if (options.product === 'vmalert') return [];
  const answer = await metrics.get(ScrapeTargets, { path: '/api/v1/targets', query: { state: 'active' } });
  const whole = { condition: 'target-down', resource: productNames[options.product] };
  if (answer.is !== 'value') return [unseen(whole, answer.reason)];
  const wanted = options.atLeast ?? (options.product === 'victoria-metrics' ? 0 : 1);
  const active = answer.value.data.activeTargets;
  return [
    ...targetObservations(active.filter(({ labels }) => !matchesAny(labels['job'] ?? '', options.ignore))),
    state({
      condition: 'targets-missing',
      resource: whole.resource,
      summary: `${whole.resource} has ${counted(active.length, 'target')}${active.length < wanted ? `, fewer than ${wanted}` : ''}`,
      ok: active.length >= wanted,
      severity: 'warning',
    }),
  ];
}

const Alertmanagers = z.object({ data: z.object({ activeAlertmanagers: z.array(z.object({ url: z.string() })) }) });
const RunningConfig = z.object({ data: z.object({ yaml: z.string() }) });

/** Alerting that is configured and has nobody to tell is the quietest of faults. */
async function alertmanagers(metrics: Metrics, name: string): Promise<Observation[]> {
  const said = { condition: 'alertmanager-missing', resource: name };
  const answer = await metrics.get(Alertmanagers, { path: '/api/v1/alertmanagers' });
  if (answer.is !== 'value') return [unseen(said, answer.reason)];
  const count = answer.value.data.activeAlertmanagers.length;
  if (count > 0) {
    return [
      state({ ...said, summary: `${name} tells ${counted(count, 'Alertmanager')}`, ok: true, severity: 'warning' }),
    ];
  }
  const config = await metrics.get(RunningConfig, { path: '/api/v1/status/config' });
  if (config.is !== 'value') return [unseen(said, config.reason)];
  // Prometheus writes its configuration anew: two blanks for each step.
  const isWanted = /^alerting:\n(?: .*\n)*? {2}alertmanagers:/m.test(config.value.data.yaml);
  const summary = isWanted ? `${name} is to send alerts, and has no Alertmanager` : `${name} has no alerts to send`;
  return [state({ ...said, summary, ok: !isWanted, severity: 'warning' })];
}

function gaugesOf(options: Options, exposed: readonly ExposedMetric[]): Observation[] {
  const series = metricValue(exposed, 'prometheus_tsdb_head_series');
  const giB = 1_024 ** 3;
  return [
    ...(series === undefined
      ? []
      : [
          level({
            condition: 'series-many',
            resource: productNames[options.product],
            summary: `${productNames[options.product]} holds ${series} series in memory`,
            value: series,
            unit: 'series',
            bad: 'above',
            warning: options.seriesAbove,
          }),
        ]),
    ...exposed
      .filter(({ name }) => name === 'vm_free_disk_space_bytes')
      .map(({ labels, value }) =>
        level({
          condition: 'metrics-disk-full',
          resource: labels['path'] ?? 'storage',
          labels: { path: labels['path'] ?? '' },
          summary: `the disk of ${productNames[options.product]} has ${formatBytes(value)} left`,
          value: value / giB,
          unit: 'GiB',
          bad: 'below',
          warning: options.free.warning,
          critical: options.free.critical,
        }),
      ),
  ];
}

const Rules = z.object({
  data: z.object({
    groups: z.array(
      z.object({
        name: z.string(),
        rules: z.array(z.object({ name: z.string(), health: z.string().optional(), lastError: z.string().optional() })),
      }),
    ),
  }),
});

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const ready = createMetrics(options, context);
  if (!ready.ok) return [];
  if (observation.condition === 'rule-evaluation-failing') return failingRules(ready.metrics);
  if (observation.condition !== 'target-down') return [];
  const answer = await ready.metrics.get(ScrapeTargets, { path: '/api/v1/targets', query: { state: 'active' } });
  if (answer.is !== 'value') return [];
  const job = observation.labels?.['job'];
  const same = answer.value.data.activeTargets.filter(({ labels }) => labels['job'] === job).slice(0, 20);
  return evidenceOf(
    'state',
    `Targets of the job ${job ?? ''}`,
    same.map(({ labels, health, lastError, scrapeUrl }) => `${health} ${labels['instance'] ?? scrapeUrl} ${lastError}`),
  );
}

async function failingRules(metrics: Metrics): Promise<Evidence[]> {
  const answer = await metrics.get(Rules, { path: '/api/v1/rules' });
  if (answer.is !== 'value') return [];
  const failing = answer.value.data.groups.flatMap(({ name, rules }) =>
    rules
      .filter(({ health, lastError = '' }) => health === 'err' || lastError !== '')
      .map((rule) => `${name}: ${rule.name}: ${rule.lastError ?? ''}`),
  );
  return evidenceOf('state', 'Rules that fail', failing);
}
