import type { Evidence } from '#bus/messages/finding.ts';
import type { Course, Metrics } from './prometheus-api.ts';
import { numberText } from './series.ts';
import { evidenceOf, timeText } from './text.ts';

const spanMs = 60 * 60_000;
const stepMs = 60_000;
const shownCourses = 6;
const bars = '▁▂▃▄▅▆▇█';

/** The last hour of an expression as one line of bars for each series, that of the finding first. */
export async function courseEvidence(
  metrics: Metrics,
  expression: string,
  of: { isWanted: (labels: Record<string, string>) => boolean; nameOf: (labels: Record<string, string>) => string },
): Promise<Evidence[]> {
  const asked = await metrics.range(expression, { spanMs, stepMs });
  if (!asked.ok) return [];
  const wanted = asked.value.filter(({ labels }) => of.isWanted(labels));
  const shown = (wanted.length > 0 ? wanted : asked.value).slice(0, shownCourses);
  const lines = shown.flatMap((course) => [of.nameOf(course.labels) || expression, ...courseLines(course)]);
  return evidenceOf('values', `Last hour of ${expression}`, lines);
}

/** A line of bars, a minute each, and the least, greatest and last value with their times. */
function courseLines({ points }: Course): string[] {
  const finite = points.filter(({ value }) => Number.isFinite(value));
  const [first] = finite;
  const last = finite.at(-1);
  if (first === undefined || last === undefined) return ['no value in the last hour'];
  const least = finite.reduce((a, b) => (b.value < a.value ? b : a));
  const most = finite.reduce((a, b) => (b.value > a.value ? b : a));
  const at = (point: { at: number; value: number }): string =>
    `${numberText(point.value)} at ${timeText(point.at).slice(11, 16)}Z`;
  return [sparkline(points), `least ${at(least)}, most ${at(most)}, last ${at(last)}`];
}

/** One bar for each step; a blank where there was no value. */
function sparkline(points: Course['points']): string {
  const values = points.map(({ value }) => value).filter((value) => Number.isFinite(value));
  const low = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const span = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY) - low;
  const start = points[0]?.at ?? 0;
  const byStep = new Map(points.map(({ at, value }) => [Math.round((at - start) / stepMs), value]));
  const steps = Math.min(spanMs / stepMs, Math.max(...byStep.keys()));
  return Array.from({ length: steps + 1 }, (_none, step) => bar(byStep.get(step), low, span)).join('');
}

function bar(value: number | undefined, low: number, span: number): string {
  if (value === undefined || !Number.isFinite(value)) return ' ';
  if (!(span > 0)) return bars.charAt(0);
  return bars.charAt(Math.min(bars.length - 1, Math.floor(((value - low) / span) * bars.length)));
}
