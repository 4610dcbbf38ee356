import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { type Asked, createMetrics, type Metrics, type MetricsOptions } from './prometheus-api.ts';
import { promqlTokens } from './promql.ts';
import { evidenceOf } from './text.ts';

type LokiOptions = MetricsOptions & { tenant?: string | undefined };

/** Asks Loki: its metric queries have Prometheus' shapes below another path. */
export function createLoki(
  options: LokiOptions,
  context: CheckContext,
): { ok: true; metrics: Metrics } | { ok: false; reason: string } {
  const headers = { ...options.headers, ...(options.tenant !== undefined && { 'x-scope-orgid': options.tenant }) };
  return createMetrics({ ...options, headers }, context, '/loki/api/v1');
}

const Series = z.object({ data: z.array(z.record(z.string(), z.string())).nullish() });
const Values = z.object({ data: z.array(z.string()).nullish() });
const Streams = z.object({
  data: z.object({
    resultType: z.literal('streams'),
    // A third element holds structured metadata. The time is nanoseconds as text: no float holds it.
    result: z.array(
      z.object({
        stream: z.record(z.string(), z.string()),
        values: z.array(z.tuple([z.string(), z.string()]).rest(z.unknown())),
      }),
    ),
  }),
});

const dayMs = 24 * 60 * 60_000;

/** The first selector of a query: `{job="sshd"}`. */
export function selectorOf(query: string): string | undefined {
  return promqlTokens(query).find(({ is }) => is === 'matchers')?.text;
}

/** Epoch ms as nanoseconds. */
function nanoseconds(ms: number): string {
  return `${Math.trunc(ms)}000000`;
}

function since(context: Pick<CheckContext, 'clock'>, spanMs: number): { start: string; end: string } {
  const now = context.clock.now();
  return { start: nanoseconds(now - spanMs), end: nanoseconds(now) };
}

/** Whether a selector had any stream within the last day. */
export async function hasStreams(
  metrics: Metrics,
  selector: string,
  context: Pick<CheckContext, 'clock'>,
): Promise<Asked<boolean>> {
  const query = { 'match[]': selector, ...since(context, dayMs) };
  const answer = await metrics.get(Series, { path: '/loki/api/v1/series', query });
  if (answer.is !== 'value') return { ok: false, reason: answer.reason, wrong: false };
  return { ok: true, value: (answer.value.data ?? []).length > 0 };
}

/** The values that a label of a selector had within the last day. */
export async function labelValues(
  metrics: Metrics,
  of: { label: string; selector: string },
  context: Pick<CheckContext, 'clock'>,
): Promise<Asked<string[]>> {
  const path = `/loki/api/v1/label/${encodeURIComponent(of.label)}/values`;
  const answer = await metrics.get(Values, { path, query: { query: of.selector, ...since(context, dayMs) } });
  if (answer.is !== 'value') return { ok: false, reason: answer.reason, wrong: false };
  return { ok: true, value: answer.value.data ?? [] };
}

const shownLines = 20;

/** The last lines of a log query, oldest first. */
export async function lineEvidence(
  metrics: Metrics,
  of: { query: string; spanMs: number },
  context: Pick<CheckContext, 'clock'>,
): Promise<Evidence[]> {
  const query = { query: of.query, limit: shownLines, direction: 'backward', ...since(context, of.spanMs) };
  const answer = await metrics.get(Streams, { path: '/loki/api/v1/query_range', query });
  if (answer.is !== 'value') return [];
  const lines = answer.value.data.result.flatMap(({ stream, values }) =>
    values.map(([time, line]) => ({ time, text: `${timeText(time)} ${nameOf(stream)} ${line}` })),
  );
  const ordered = lines.sort((a, b) => compareTimes(a.time, b.time)).slice(-shownLines);
  return evidenceOf(
    'log',
    `Last lines of ${of.query}`,
    ordered.map(({ text }) => text),
  );
}

/** Texts of digits by their numbers, without making floats of them. */
function compareTimes(a: string, b: string): number {
  return a.length === b.length ? (a < b ? -1 : 1) : a.length - b.length;
}

function timeText(time: string): string {
  const ms = /^\d{16,20}$/.test(time) ? Number(time.slice(0, -6)) : Number.NaN;
  const at = new Date(ms);
  return Number.isNaN(at.getTime()) ? '?' : at.toISOString().slice(0, 19).replace('T', ' ');
}

function nameOf(stream: Readonly<Record<string, string>>): string {
  return stream['host'] ?? stream['instance'] ?? stream['hostname'] ?? stream['service_name'] ?? stream['job'] ?? '';
}

/** What deletes old lines, by the text of `GET /config`; undefined when nothing of it can be told. */
export function readRetention(config: string): 'kept-for-ever' | 'deleted' | undefined {
  const sections = topLevelSections(config);
  const limits = sections.get('limits_config');
  if (limits === undefined) return undefined;
  const table = sections.get('table_manager') ?? '';
  if (/^ {2}retention_deletes_enabled: true$/m.test(table)) return 'deleted';
  const isEnabled = /^ {2}retention_enabled: true$/m.test(sections.get('compactor') ?? '');
  const period = /^ {2}retention_period: (\S+)$/m.exec(limits)?.[1] ?? '0s';
  const perStream = /^ {2}retention_stream:\s*\n {2}-/m.test(limits);
  return isEnabled && (perStream || !/^(?:0[smh]?)+$/.test(period)) ? 'deleted' : 'kept-for-ever';
}

/** Loki prints its own configuration in a fixed form: two blanks for each step. */
function topLevelSections(config: string): Map<string, string> {
  const sections = new Map<string, string>();
  let name = '';
  let lines: string[] = [];
  for (const line of config.split('\n')) {
    const [, key] = /^([a-z_]+):/.exec(line) ?? [];
    if (key === undefined) {
      lines.push(line);
      continue;
    }
    sections.set(name, lines.join('\n'));
    name = key;
    lines = [];
  }
  return sections.set(name, lines.join('\n'));
}
