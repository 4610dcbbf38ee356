import { z } from 'zod';
import { Severity } from '#bus/fields.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { expandTemplate } from './go-template.ts';
import type { Sample } from './prometheus-api.ts';
import { limitsOf, sideOptions, type Sides } from './levels-option.ts';
import { level, state, unseen } from './reading.ts';
import { carriedLabels, numberText, seriesName, worstOf } from './series.ts';

const labelName = z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]{0,127}$/, 'must be the name of a label');

/** The keys of kinds that judge the series of a query. */
export const judgementOptions = {
  condition: z
    .string()
    .regex(/^[a-z]+(?:-[a-z0-9]+)*$/, 'must be like "queue-long"')
    .max(60)
    .default('query-result')
    .describe('Name of the trouble, such as `queue-long`: the alertname of its findings.'),
  ...sideOptions,
  anySeries: Severity.default('warning').describe(
    'With neither `above` nor `below` each series is bad, as in an alert rule: how bad.',
  ),
  resourceFrom: z
    .array(labelName)
    .min(1)
    .max(8)
    .optional()
    .describe('Labels whose values name the thing; of equal ones the worst counts. Default: all labels but `job`.'),
  carry: z.array(labelName).max(30).optional().describe('Labels that findings get. Default: all of the series.'),
  summary: z
    .string()
    .max(1_000)
    .optional()
    .describe('Sentence about one series, with `{{ $labels.x }}` and `{{ $value | humanize }}` as in alert rules.'),
  unit: z.string().max(20).default('').describe('Unit of the value, such as % or s.'),
  absent: z
    .enum(['ok', 'problem', 'unknown'])
    .optional()
    .describe(
      'What no series at all means. Default: unknown, unless it can be told that there is something to find and nothing is bad.',
    ),
  atLeast: z.number().int().min(1).max(100_000).optional().describe('Fewer series than that are a problem.'),
};

interface JudgementOptions extends Sides {
  condition: string;
  anySeries: Severity;
  resourceFrom?: readonly string[] | undefined;
  carry?: readonly string[] | undefined;
  summary?: string | undefined;
  unit: string;
  absent?: 'ok' | 'problem' | 'unknown' | undefined;
  atLeast?: number | undefined;
}

/** More bad series than anybody reads; the rest is said as a number. */
const maximumSeries = 500;

/** One observation for each series, the worst ones first, and one for all of them named `whole`. Not for an empty result. */
export function judgeSeries(options: JudgementOptions, samples: readonly Sample[], whole: string): Observation[] {
  const isWorse = (a: Sample, b: Sample): boolean => badness(options, a.value) > badness(options, b.value);
  const named = worstOf(samples, (sample) => resourceOf(options, sample, whole), isWorse);
  const sorted = [...named].sort(([, a], [, b]) => badness(options, b.value) - badness(options, a.value));
  const kept = sorted.slice(0, maximumSeries);
  const left = sorted.length - kept.length;
  return [
    ...kept.map(([resource, sample]) => judgeOne(options, resource, sample)),
    // With limits what is left out is better than what is shown; otherwise all of it is bad.
    ...(left > 0 && limitsOf(options) === undefined
      ? [unseen({ condition: options.condition, resource: whole }, `${left} more series are bad`)]
      : []),
    ...tooFew(options, samples.length, whole),
  ];
}

function resourceOf({ resourceFrom }: JudgementOptions, { labels }: Sample, whole: string): string {
  if (resourceFrom === undefined) return seriesName(labels) || whole;
  return (
    resourceFrom
      .map((name) => labels[name] ?? '')
      .join(' ')
      .trim() || whole
  );
}

/** The higher the worse; what is no number comes first because nothing is known of it. */
function badness({ below }: JudgementOptions, value: number): number {
  if (!Number.isFinite(value)) return Number.POSITIVE_INFINITY;
  return below === undefined ? value : -value;
}

function judgeOne(options: JudgementOptions, resource: string, { labels, value }: Sample): Observation {
  const { condition, unit, anySeries } = options;
  const shown = `${numberText(value)}${unit === '' ? '' : ` ${unit}`}`;
  const words = options.summary === undefined ? '' : expandTemplate(options.summary, { labels, value }).trim();
  const summary = words === '' ? `${resource} is at ${shown}` : words;
  const said = { condition, resource, summary, labels: carriedLabels(labels, options.carry) };
  const limits = limitsOf(options);
  if (limits === undefined) return state({ ...said, ok: false, severity: anySeries });
  // A division by zero or a ratio of nothing: neither high nor low.
  if (!Number.isFinite(value)) return unseen(said, `its value is ${shown}`);
  return level({ ...said, value, unit, ...limits });
}

const fewCondition = 'series-missing';

function tooFew({ atLeast }: JudgementOptions, count: number, whole: string): Observation[] {
  if (atLeast === undefined) return [];
  return [
    state({
      condition: fewCondition,
      resource: whole,
      summary: `${count} series of at least ${atLeast} are there`,
      ok: count >= atLeast,
      severity: 'warning',
    }),
  ];
}

/** An empty result. `blind`: why it cannot tell that all is well, or undefined when there is something to find. */
export function judgeAbsence(options: JudgementOptions, whole: string, blind: string | undefined): Observation[] {
  const said = { condition: options.condition, resource: whole };
  const meaning = options.absent ?? (blind === undefined ? 'ok' : 'unknown');
  const few = tooFew(options, 0, whole);
  switch (meaning) {
    case 'ok':
      return [state({ ...said, summary: 'nothing is bad', ok: true, severity: options.anySeries }), ...few];
    case 'problem':
      return [state({ ...said, summary: 'there is no series', ok: false, severity: options.anySeries }), ...few];
    case 'unknown':
      return [unseen(said, blind ?? 'there is no series'), ...few];
  }
}
