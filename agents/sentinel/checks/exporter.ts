import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { apiOptions, createApi, presence } from '#agents/sentinel/probes/api.ts';
import { loginHeaders, loginOptions } from '#agents/sentinel/probes/api-login.ts';
import { type ExposedMetric, exposedMetrics } from '#agents/sentinel/probes/exposition.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { Growth } from '#agents/sentinel/probes/growth.ts';
import { judgeAbsence, judgementOptions, judgeSeries } from '#agents/sentinel/probes/judgement.ts';
import { spans } from '#agents/sentinel/probes/levels-option.ts';
import { withHeaders } from '#agents/sentinel/probes/prometheus-api.ts';
import { unseen } from '#agents/sentinel/probes/reading.ts';
import { silenceEnds, silentFor } from '#agents/sentinel/probes/silence.ts';
import { seriesName } from '#agents/sentinel/probes/series.ts';
import { worstOnly } from '#agents/sentinel/probes/self-metrics.ts';
import { evidenceOf, oneLine, resourceName } from '#agents/sentinel/probes/text.ts';

const metricName = z.string().regex(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$/, 'must be the name of a metric');

const Metric = z
  .strictObject({
    metric: metricName.describe('Name of the metric.'),
    where: z
      .record(z.string().max(100), z.string().max(500))
      .default({})
      .describe('Labels that it must have, with these values; `*` stands for any text.'),
    as: z
      .enum(['value', 'age', 'left', 'growth'])
      .default('value')
      .describe(
        '`age` and `left`: the value is a time of Unix, and the seconds since then or until then are judged. `growth`: of a counter, within five minutes.',
      ),
    badValue: z.number().optional().describe('This value is bad, such as 0 of a metric that says success.'),
    ...judgementOptions,
  })
  .refine(
    ({ above, below, badValue }) => [above, below, badValue].filter((judge) => judge !== undefined).length === 1,
    {
      error: 'must have one of above, below and badValue',
    },
  );
type Metric = z.output<typeof Metric>;

const Options = z.strictObject({
  ...apiOptions,
  url: apiOptions.url.describe('Address of the exporter, without the path.'),
  path: z
    .string()
    .regex(/^\/[^?#\s]{0,500}$/, 'must begin with a slash and hold no query')
    .default('/metrics')
    .describe('Path of its page: /probe for blackbox_exporter, /snmp, /pve.'),
  parameters: z
    .record(z.string().max(100), z.string().max(500))
    .default({})
    .describe('Query of the page, such as module and target.'),
  ...loginOptions,
  expectMetric: metricName
    .optional()
    .describe('A metric that says that the right exporter answers, such as node_uname_info.'),
  silent: spans({ warning: '2m', critical: '10m' }).prefault({}).describe('How long it has been silent.'),
  metrics: z.array(Metric).max(100).default([]).describe('What of its metrics is judged, without Prometheus.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'exporter',
  about:
    'A Prometheus exporter asked directly: whether it answers, and its metrics against thresholds, without Prometheus.',
  options: Options,
  reach: 'network',
  resourceOf,
  observe,
  evidence: { about: 'the metrics of that name on its page', gather },
});

function resourceOf({ url, path, parameters }: Options): string {
  const target = parameters['target'] === undefined ? '' : ` for ${parameters['target']}`;
  return resourceName(`${new URL(url).host}${path === '/metrics' ? '' : path}${target}`);
}

type Page = { ok: true; exposed: ExposedMetric[]; health: Observation } | { ok: false; health: Observation };

async function read(options: Options, context: CheckContext): Promise<Page> {
  const said = { condition: 'exporter-down', resource: resourceOf(options) };
  const login = loginHeaders(options, context);
  if (!login.ok) return { ok: false, health: unseen(said, login.reason) };
  const api = withHeaders(createApi(options, context), login.headers);
  const answer = await api.text({ path: options.path, query: options.parameters });
  const health = presence(answer, { ...said, name: 'The exporter' });
  if (answer.is !== 'value') return { ok: false, health };
  const { expectMetric } = options;
  const names = new Set([
    ...options.metrics.map(({ metric }) => metric),
    ...(expectMetric === undefined ? [] : [expectMetric]),
  ]);
  const exposed = exposedMetrics(answer.value, names);
  if (expectMetric !== undefined && !exposed.some(({ name }) => name === expectMetric)) {
    return { ok: false, health: unseen(said, `its page has no metric ${expectMetric}: another program answers there`) };
  }
  if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{.*\})? \S+/m.test(answer.value.slice(0, 100_000))) {
    return { ok: false, health: unseen(said, `its page has no metrics: "${oneLine(answer.value, 60)}"`) };
  }
  return { ok: true, exposed, health };
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const page = await read(options, context);
  if (!page.ok) return [silence(page.health, options, context)];
  silenceEnds(context);
  const whole = resourceOf(options);
  const growth = new Growth(context);
  const nowSeconds = context.clock.now() / 1_000;
  const judged = options.metrics.flatMap((metric) => judge(metric, page.exposed, { whole, nowSeconds, growth }));
  growth.keep();
  return worstOnly([page.health, ...judged]);
}

/** What it measures goes on without it: for some minutes that nobody measures is no more than a warning. */
function silence(health: Observation, { silent }: Options, context: CheckContext): Observation {
  const { reading } = health;
  if (reading.is !== 'state') return health;
  const holdMs = silent.warning;
  const silentMs = silentFor(context);
  if (silentMs < silent.critical) return { ...health, holdMs, reading: { ...reading, severity: 'warning' } };
  return { ...health, holdMs, summary: `${health.summary}, for ${formatDuration(silentMs)}` };
}

function judge(
  metric: Metric,
  exposed: readonly ExposedMetric[],
  of: { whole: string; nowSeconds: number; growth: Growth },
): Observation[] {
  const samples = exposed
    .filter(({ name, labels }) => name === metric.metric && matches(labels, metric.where))
    .map(({ labels, value }) => ({
      labels,
      value: judged(metric, { name: `${metric.metric} ${seriesName(labels)}`, value }, of),
    }));
  const whole = resourceName(`${metric.metric} of ${of.whole}`);
  if (samples.length === 0) return judgeAbsence(metric, whole, `its page has no ${metric.metric}`);
  if (metric.badValue === undefined) return judgeSeries(metric, samples, whole);
  const bad = samples.filter(({ value }) => value === metric.badValue);
  return bad.length > 0 ? judgeSeries(metric, bad, whole) : judgeAbsence({ ...metric, absent: 'ok' }, whole, undefined);
}

function matches(labels: Readonly<Record<string, string>>, where: Readonly<Record<string, string>>): boolean {
  return Object.entries(where).every(([name, value]) => matchesAny(labels[name] ?? '', [value]));
}

function judged(
  { as }: Metric,
  { name, value }: { name: string; value: number },
  of: { nowSeconds: number; growth: Growth },
): number {
  switch (as) {
    case 'value':
      return value;
    case 'age':
      return Math.round(of.nowSeconds - value);
    case 'left':
      return Math.round(value - of.nowSeconds);
    case 'growth':
      return of.growth.of(name, value);
  }
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const page = await read(options, context);
  if (!page.ok) return [];
  const wanted = new Set(
    options.metrics.filter(({ condition }) => condition === observation.condition).map(({ metric }) => metric),
  );
  const lines = page.exposed
    .filter(({ name }) => wanted.has(name))
    .map(({ name, labels, value }) => {
      const text = Object.entries(labels).map(([label, of]) => `${label}=${JSON.stringify(of)}`);
      return `${name}{${text.join(',')}} ${value}`;
    });
  return evidenceOf('values', `Metrics of ${resourceOf(options)}`, lines.slice(0, 30));
}
