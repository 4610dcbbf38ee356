import type { Severity } from '#bus/fields.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import type { Api } from './api.ts';
import { type ExposedMetric, exposedMetrics } from './exposition.ts';
import { Growth } from './growth.ts';
import { state, unseen } from './reading.ts';

/** What a metric of a product's own /metrics page means for the product. */
export interface SelfMetric {
  metric: string;
  /** `zero`, `one`: bad at that value. `rising`: a counter that is bad while it grows and for five minutes after. */
  bad: 'zero' | 'one' | 'rising';
  condition: string;
  severity: Severity;
  /** Words for when it is bad, behind the name of the product; `of` is the value of `by`. */
  says: (of: string) => string;
  /** The label that tells several of one metric apart; the others are added up. */
  by?: string;
}

/** What the product `resource` says of itself on its /metrics page. An absent metric says nothing: versions differ. */
export async function selfObservations(
  api: Pick<Api, 'text'>,
  of: { resource: string; metrics: readonly SelfMetric[]; gauges?: readonly string[] },
  context: Pick<CheckContext, 'memory' | 'clock'>,
): Promise<{ observations: Observation[]; exposed: ExposedMetric[] }> {
  const answer = await api.text({ path: '/metrics' });
  if (answer.is !== 'value') {
    return { observations: [unseen({ condition: 'self-metrics', resource: of.resource }, answer.reason)], exposed: [] };
  }
  const exposed = exposedMetrics(
    answer.value,
    new Set([...of.metrics.map(({ metric }) => metric), ...(of.gauges ?? [])]),
  );
  if (exposed.length === 0) {
    const said = { condition: 'self-metrics', resource: of.resource };
    return { observations: [unseen(said, 'its /metrics page has none of its own metrics')], exposed };
  }
  const growth = new Growth(context);
  const observations = of.metrics.flatMap((metric) => judge(metric, exposed, { resource: of.resource, growth }));
  growth.keep();
  return { observations: worstOnly(observations), exposed };
}

function judge(
  metric: SelfMetric,
  exposed: readonly ExposedMetric[],
  of: { resource: string; growth: Growth },
): Observation[] {
  const sums = new Map<string, number>();
  for (const { name, labels, value } of exposed) {
    if (name !== metric.metric || !Number.isFinite(value)) continue;
    const key = metric.by === undefined ? '' : (labels[metric.by] ?? '');
    sums.set(key, (sums.get(key) ?? 0) + value);
  }
  return [...sums].slice(0, 100).map(([which, value]) => {
    const isBad =
      metric.bad === 'rising'
        ? of.growth.of(`${metric.metric} ${which}`, value) > 0
        : value === (metric.bad === 'zero' ? 0 : 1);
    return state({
      condition: metric.condition,
      resource: which === '' ? of.resource : which,
      summary: `${of.resource}: ${isBad ? metric.says(which) : `${metric.metric} is well`}`,
      ...(which !== '' && metric.by !== undefined && { labels: { [metric.by]: which } }),
      ok: !isBad,
      severity: metric.severity,
    });
  });
}

/** Each thing once: of several that tell the same trouble of it, one that is bad. */
export function worstOnly(observations: readonly Observation[]): Observation[] {
  const kept = new Map<string, Observation>();
  for (const observation of observations) {
    const key = `${observation.condition}\0${observation.resource}`;
    const isBad = observation.reading.is === 'state' && !observation.reading.ok;
    if (isBad || !kept.has(key)) kept.set(key, observation);
  }
  return [...kept.values()];
}

export function metricValue(exposed: readonly ExposedMetric[], name: string): number | undefined {
  return exposed.find((metric) => metric.name === name)?.value;
}
