import type { CheckMemory } from '#agents/sentinel/check.ts';
import { remember } from './remembered.ts';

/** Restarts seen of one thing: the counter at the last look and when it grew. JSON, kept in a check's memory. */
export interface RestartHistory {
  counter: number;
  /** Epoch ms and how many, oldest first. */
  seen: { at: number; count: number }[];
}

/** As the table of thresholds has it: 3 restarts within 10 minutes are a loop. */
export const restartWindowMs = 600_000;
export const restartLimit = 3;

/**
 * Takes a new counter value into the history. systemd and Docker set their counters to 0 when a person restarts the
 * thing, so a smaller value counts from 0 and keeps what was seen before.
 */
export function noteRestarts(history: RestartHistory | undefined, counter: number, now: number): RestartHistory {
  if (history === undefined) return { counter, seen: [] };
  const grown = counter >= history.counter ? counter - history.counter : counter;
  const seen = history.seen.filter((restart) => restart.at > now - restartWindowMs && restart.at <= now);
  if (grown > 0) seen.push({ at: now, count: grown });
  return { counter, seen: seen.slice(-10) };
}

/** Restarts within the window. */
export function restartsIn(history: RestartHistory): number {
  return history.seen.reduce((sum, restart) => sum + restart.count, 0);
}

/**
 * Takes the counters of a look into a check's memory and gives the restarts of each name within the window. At the first
 * look all begin; later a name that is not remembered, being new or never restarted, counts from 0.
 */
export function rememberRestarts(
  memory: CheckMemory,
  counters: ReadonlyMap<string, number>,
  now: number,
): ReadonlyMap<string, number> {
  const remembered = memory.get('restarts');
  const before = restartHistories(remembered);
  const unremembered = remembered === undefined ? undefined : { counter: 0, seen: [] };
  const after = [...counters].map(
    ([name, counter]) => [name, noteRestarts(before.get(name) ?? unremembered, counter, now)] as const,
  );
  const kept = after.filter(([, { counter, seen }]) => counter > 0 || seen.length > 0);
  remember(memory, 'restarts', keptHistories(kept));
  return new Map(after.map(([name, history]) => [name, restartsIn(history)]));
}

/** Reads what memory holds; anything of another shape counts as nothing. */
function restartHistories(value: unknown): Map<string, RestartHistory> {
  const histories = new Map<string, RestartHistory>();
  if (value === null || typeof value !== 'object') return histories;
  for (const [name, entry] of Object.entries(value)) if (isHistory(entry)) histories.set(name, entry);
  return histories;
}

/** What fits into a check's memory: those that restarted lately first. */
function keptHistories(histories: readonly (readonly [string, RestartHistory])[]): Record<string, RestartHistory> {
  const sorted = histories.toSorted(([, a], [, b]) => b.seen.length - a.seen.length);
  return Object.fromEntries([
    ...sorted.slice(0, 80),
    ...sorted.slice(80, 300).map(([name, { counter }]) => [name, { counter, seen: [] }] as const),
  ]);
}

function isHistory(value: unknown): value is RestartHistory {
  return (
    value !== null &&
    typeof value === 'object' &&
    'counter' in value &&
    typeof value.counter === 'number' &&
    'seen' in value &&
    Array.isArray(value.seen)
  );
}
