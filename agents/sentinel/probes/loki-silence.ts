import { z } from 'zod';
import { formatDuration } from '#config/duration.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { labelValues } from './loki.ts';
import type { Silent, Surge } from './loki-options.ts';
import type { Asked, Metrics, Sample } from './prometheus-api.ts';
import { level, state, unseen } from './reading.ts';
import { remember } from './remembered.ts';
import { resourceName } from './text.ts';

type LokiContext = Pick<CheckContext, 'clock' | 'memory'>;

/** Who has not written for so long has moved away. */
const forgetMs = 7 * 24 * 60 * 60_000;
const maximumRemembered = 500;

function silenceResource({ selector, label }: Silent, value?: string): string {
  return resourceName(value === undefined ? `${selector}${label === undefined ? '' : ` by ${label}`}` : value);
}

/** Which hosts or streams have fallen silent. */
export async function silenceObservations(
  silent: Silent,
  metrics: Metrics,
  context: LokiContext,
): Promise<Observation[]> {
  const range = formatDuration(silent.for);
  const said = { condition: 'logs-silent', resource: silenceResource(silent) };
  if (silent.label === undefined) {
    const asked = await metrics.query(`absent_over_time(${silent.selector}[${range}])`);
    if (!asked.ok) return [unseen(said, asked.reason)];
    return [silenceState(said, asked.value.length > 0, range)];
  }
  const { label } = silent;
  const asked = await metrics.query(`sum by (${label}) (count_over_time(${silent.selector}[${range}]))`);
  if (!asked.ok) return [unseen(said, asked.reason)];
  const heard = asked.value.flatMap(({ labels, value }) => (value > 0 ? (labels[label] ?? []) : []));
  const expected = await expectedValues(silent, label, { heard, metrics, context });
  if (!expected.ok) return [unseen(said, expected.reason)];
  const isHeard = new Set(heard);
  return expected.value.length === 0
    ? [unseen(said, `nothing has written to ${silent.selector} within a day`)]
    : expected.value.map((value) =>
        silenceState(
          { condition: said.condition, resource: silenceResource(silent, value), labels: { [label]: value } },
          !isHeard.has(value),
          range,
        ),
      );
}

function silenceState(
  said: { condition: string; resource: string; labels?: Record<string, string> },
  isSilent: boolean,
  range: string,
): Observation {
  const summary = isSilent ? `${said.resource} has written no line for ${range}` : `${said.resource} writes`;
  return state({ ...said, summary, ok: !isSilent, severity: 'warning' });
}

const Heard = z.record(z.string(), z.number());

/** Those that the person named; else those that wrote lately, as far as is remembered. */
async function expectedValues(
  silent: Silent,
  label: string,
  of: { heard: readonly string[]; metrics: Metrics; context: LokiContext },
): Promise<Asked<string[]>> {
  if (silent.values !== undefined) return { ok: true, value: [...new Set(silent.values)] };
  const { clock, memory } = of.context;
  const key = `heard ${silenceResource(silent)}`;
  const before = Heard.safeParse(memory.get(key));
  const now = clock.now();
  const lastHeard = new Map(before.success ? Object.entries(before.data) : []);
  if (!before.success) {
    const asked = await labelValues(of.metrics, { label, selector: silent.selector }, of.context);
    if (!asked.ok) return asked;
    for (const value of asked.value) lastHeard.set(value, now);
  }
  for (const value of of.heard) lastHeard.set(value, now);
  const kept = [...lastHeard]
    .filter(([, at]) => now - at < forgetMs)
    .sort(([, a], [, b]) => b - a)
    .slice(0, maximumRemembered);
  // Every look moves the times of those that write; an hour's resolution spares the store.
  const stored = kept.map(([value, at]) => [
    value,
    before.success && at - (before.data[value] ?? 0) < 3_600_000 ? (before.data[value] ?? at) : at,
  ]);
  remember(memory, key, Object.fromEntries(stored));
  return { ok: true, value: kept.map(([value]) => value).sort() };
}

const dayMs = 24 * 60 * 60_000;
/** A count over a day costs Loki something. */
const baselineEveryMs = 60 * 60_000;
const maximumSeries = 200;

const Baseline = z.object({ at: z.number(), means: z.record(z.string(), z.number()) });

/** Of which lines there are many more than on the day before. */
export async function surgeObservations(surge: Surge, metrics: Metrics, context: LokiContext): Promise<Observation[]> {
  const whole = resourceName(surge.lines);
  const said = { condition: 'log-surge', resource: whole };
  const span = formatDuration(surge.span);
  const sum = surge.by === undefined ? 'sum' : `sum by (${surge.by})`;
  const counted = await metrics.query(`${sum} (count_over_time(${surge.lines} [${span}]))`);
  if (!counted.ok) return [unseen(said, counted.reason)];
  const baseline = await baselineOf(surge, { sum, span, whole }, { metrics, context });
  if (!baseline.ok) return [unseen(said, baseline.reason)];
  const nameOf = ({ labels }: Sample): string => (surge.by === undefined ? whole : (labels[surge.by] ?? '') || whole);
  const counts = new Map(counted.value.slice(0, maximumSeries).map((sample) => [nameOf(sample), sample.value]));
  // Loki has no series where there is no line, and that is well.
  if (!counts.has(whole) && counts.size === 0) counts.set(whole, 0);
  return [...counts].map(([resource, count]) => {
    const usual = baseline.value[resource] ?? 0;
    return level({
      condition: said.condition,
      resource,
      ...(surge.by !== undefined && resource !== whole && { labels: { [surge.by]: resource } }),
      summary: `${count} lines in ${span}, ${usual.toFixed(usual < 10 ? 1 : 0)} are usual: ${surge.lines}`,
      value: count,
      unit: 'lines',
      bad: 'above',
      warning: Math.max(surge.least, surge.factor * usual),
    });
  });
}

async function baselineOf(
  surge: Surge,
  words: { sum: string; span: string; whole: string },
  of: { metrics: Metrics; context: LokiContext },
): Promise<Asked<Record<string, number>>> {
  const { clock, memory } = of.context;
  const key = `baseline ${words.whole} ${surge.by ?? ''}`;
  const known = Baseline.safeParse(memory.get(key));
  if (known.success && clock.now() - known.data.at < baselineEveryMs) return { ok: true, value: known.data.means };
  const asked = await of.metrics.query(
    `${words.sum} (count_over_time(${surge.lines} [${formatDuration(dayMs)}] offset ${words.span}))`,
  );
  if (!asked.ok) return asked;
  const share = surge.span / dayMs;
  const means = Object.fromEntries(
    asked.value
      .slice(0, maximumSeries)
      .map(({ labels, value }) => [
        surge.by === undefined ? words.whole : (labels[surge.by] ?? '') || words.whole,
        value * share,
      ]),
  );
  remember(memory, key, { at: clock.now(), means });
  return { ok: true, value: means };
}
