import type { CheckContext } from '#agents/sentinel/check.ts';
import { remember } from './remembered.ts';

type Looking = Pick<CheckContext, 'clock' | 'memory'>;

const key = 'silentSince';

/** Whole seconds, in ms, since the first of the looks in a row that found the thing silent; 0 with that one. */
export function silentFor({ clock, memory }: Looking): number {
  const now = clock.now();
  const known = memory.get(key);
  const since = typeof known === 'number' ? known : now;
  remember(memory, key, since);
  return Math.max(0, Math.floor((now - since) / 1_000) * 1_000);
}

/** It answered. */
export function silenceEnds({ memory }: Looking): void {
  remember(memory, key, null);
}
