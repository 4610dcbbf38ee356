import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { Duration, durationOr, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type JournalFilter, newJournalLines, readJournal } from '#agents/sentinel/probes/journal-lines.ts';
import { someLevels } from '#agents/sentinel/probes/levels-option.ts';
import {
  countedBefore,
  type LineCounts,
  linesWithin,
  longestMs,
  matching,
  noteLines,
  rememberLines,
} from '#agents/sentinel/probes/line-count.ts';
import { newFileLines } from '#agents/sentinel/probes/log-file.ts';
import { patternOption } from '#agents/sentinel/probes/pattern.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const Name = z.string().regex(/^[A-Za-z0-9:_.@\\*-]{1,255}$/, 'must be the name of a unit such as nginx or backup@*');

const Options = z.strictObject({
  pattern: patternOption().describe('Regular expression that is searched for in each line.'),
  units: z.array(Name).max(50).default([]).describe('Units whose lines count; none: all lines of the journal.'),
  identifiers: z
    .array(z.string().min(1).max(100))
    .max(50)
    .default([])
    .describe('Names that programs write under, such as `kernel` or `sshd`.'),
  priority: z
    .enum(['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'])
    .optional()
    .describe('Least priority of a line. Absent: all.'),
  file: z
    .string()
    .regex(/^\/[^\n\0]{1,1000}$/, 'must be a whole path')
    .optional()
    .describe('A log file to read instead of the journal; lines count from the first look on.'),
  within: durationOr('10m')
    .refine((ms) => ms >= 60_000 && ms <= longestMs, { error: 'must be 1m to 24h' })
    .describe('The time in which lines are counted.'),
  lines: someLevels({ warning: 1 }).prefault({}).describe('Lines within that time.'),
  silentAfter: Duration.optional().describe(
    'The opposite: such a line has to come, and its absence for so long is critical.',
  ),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'journal-pattern',
  about: 'Lines of the journal or of a log file that match a pattern too often, or that have not come for too long.',
  options: Options,
  reach: 'host',
  resourceOf: sourceOf,
  observe,
  evidence: { about: 'the last lines of the journal that matched', gather },
});

function sourceOf({ file, units, identifiers }: Options): string {
  return oneLine(file ?? ([...units, ...identifiers].join(', ') || 'journal'), 200);
}

function filterOf({ units, identifiers, priority }: Options): JournalFilter {
  return { units, identifiers, priority };
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const back = Math.max(options.within, options.silentAfter ?? 0);
  const read =
    options.file === undefined
      ? await newJournalLines(context, filterOf(options), Math.min(back, longestMs))
      : await newFileLines(context, options.file);
  const condition = options.silentAfter === undefined ? 'log-lines' : 'log-line-missing';
  const said = { condition, resource: sourceOf(options) };
  if (!read.ok) return [unseen(said, read.reason)];
  const found = matching(read.lines, new RegExp(options.pattern, 'u'));
  if (found === undefined) return [unseen(said, 'the expression takes too long to match')];
  const now = context.clock.now();
  const counts = noteLines(countedBefore(context.memory, now), found, { now, keepMs: options.within });
  rememberLines(context.memory, counts);
  if (options.silentAfter !== undefined) return [silence(options, counts, now)];
  return [frequency(options, { counts, now, isCut: read.isCut })];
}

function labelsOf({ file, units }: Options): Record<string, string> {
  const [unit] = units;
  if (file !== undefined) return { path: file };
  return unit !== undefined && units.length === 1 ? { unit: unit.includes('.') ? unit : `${unit}.service` } : {};
}

function frequency(options: Options, of: { counts: LineCounts; now: number; isCut: boolean }): Observation {
  const value = linesWithin(of.counts, of.now, options.within);
  const last = value === 0 ? '' : `, the last: ${of.counts.last}`;
  const more = of.isCut ? ' or more' : '';
  return level({
    condition: 'log-lines',
    resource: sourceOf(options),
    labels: labelsOf(options),
    summary: `${counted(value, 'line')}${more} of ${sourceOf(options)} within ${formatDuration(options.within)} matched${last}`,
    value,
    unit: 'lines',
    bad: 'above',
    ...options.lines,
    // The window has waited already.
    holdMs: 0,
  });
}

function silence(options: Options, counts: LineCounts, now: number): Observation {
  const limitMs = options.silentAfter ?? 0;
  // Before the first look nobody listened.
  const sinceMs = now - Math.max(counts.lastAt, counts.since);
  const ago = formatDuration(Math.floor((now - counts.lastAt) / 1_000) * 1_000);
  return state({
    condition: 'log-line-missing',
    resource: sourceOf(options),
    labels: labelsOf(options),
    summary:
      counts.lastAt === 0
        ? `no line of ${sourceOf(options)} has matched since the first look (wanted every ${formatDuration(limitMs)})`
        : `the last line of ${sourceOf(options)} that matched came ${ago} ago (wanted every ${formatDuration(limitMs)})`,
    ok: counts.lastAt >= now - limitMs || sinceMs <= limitMs,
    severity: 'critical',
    holdMs: 0,
  });
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  if (options.file !== undefined) return [];
  const read = await readJournal(context, filterOf(options), { cursor: '', backMs: options.within, timeoutMs: 5_000 });
  if (!read.ok) return [];
  const found = matching(read.lines, new RegExp(options.pattern, 'u')) ?? [];
  return evidenceOf(
    'log',
    `Lines of ${sourceOf(options)} that matched`,
    found.map(({ shown }) => shown),
  );
}
