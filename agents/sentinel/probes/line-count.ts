import { scrub } from '#bus/scrub.ts';
import type { CheckMemory } from '#agents/sentinel/check.ts';
import { matchesEach } from '#config/bounded-pattern.ts';
import { remember } from './remembered.ts';
import { oneLine } from './text.ts';

/** A line and when it was written, epoch ms. */
export interface TimedLine {
  at: number;
  text: string;
}

/** Matches of a pattern by the minute, and the last of all: JSON, kept in a check's memory. */
export interface LineCounts {
  /** Epoch ms of the first look. */
  since: number;
  /** Epoch ms of the last line that matched; 0: none yet. */
  lastAt: number;
  /** What it said, bounded and without secrets: memory is stored. */
  last: string;
  /** Start of a minute and how many, oldest first. */
  minutes: { at: number; count: number }[];
}

const minuteMs = 60_000;
/** A day of minutes is as far as anybody counts. */
export const longestMs = 1_440 * minuteMs;

/** The lines that match, or undefined when the expression takes too long to find out. */
export function matching<L extends TimedLine>(lines: readonly L[], pattern: RegExp): L[] | undefined {
  const matches = matchesEach(
    pattern,
    lines.map(({ text }) => text),
  );
  return matches && lines.filter((_line, index) => matches[index] === true);
}

export function countedBefore(memory: CheckMemory, now: number): LineCounts {
  const known = memory.get('lines');
  return isCounts(known) ? known : { since: now, lastAt: 0, last: '', minutes: [] };
}

/** Takes what matched since the last look into the counts. */
export function noteLines(
  counts: LineCounts,
  found: readonly TimedLine[],
  of: { now: number; keepMs: number },
): LineCounts {
  const minutes = new Map(counts.minutes.map(({ at, count }) => [at, count]));
  let { lastAt } = counts;
  for (const { at } of found) {
    // The clock of a host may be ahead of ours: a line is never from the future.
    const when = Math.min(at, of.now);
    const minute = Math.floor(when / minuteMs) * minuteMs;
    minutes.set(minute, (minutes.get(minute) ?? 0) + 1);
    lastAt = Math.max(lastAt, when);
  }
  const kept = [...minutes].filter(([at]) => at > of.now - of.keepMs - minuteMs).toSorted(([a], [b]) => a - b);
  const text = found.at(-1)?.text;
  const last = text === undefined ? counts.last : scrub(oneLine(text, 200));
  return { since: counts.since, lastAt, last, minutes: kept.slice(-1_500).map(([at, count]) => ({ at, count })) };
}

export function rememberLines(memory: CheckMemory, counts: LineCounts): void {
  remember(memory, 'lines', counts);
}

/** How many matched within a time that ends now. */
export function linesWithin(counts: LineCounts, now: number, withinMs: number): number {
  return counts.minutes.reduce((sum, { at, count }) => (at > now - withinMs - minuteMs ? sum + count : sum), 0);
}

function isCounts(value: unknown): value is LineCounts {
  return (
    value !== null &&
    typeof value === 'object' &&
    'since' in value &&
    typeof value.since === 'number' &&
    'lastAt' in value &&
    typeof value.lastAt === 'number' &&
    'last' in value &&
    typeof value.last === 'string' &&
    'minutes' in value &&
    Array.isArray(value.minutes)
  );
}
