import type { Finding } from '#bus/messages/finding.ts';
import type { Observation } from './check.ts';
import type { BoundCheck } from './registry.ts';
import type { TrackState } from './state.ts';

/** Alert names of what sentinel says about its own looking. */
export const unknownCondition = 'check-unknown';
export const staleCondition = 'check-stale';
/** The name of a check that rests as a whole, with its host. Never a finding. */
export const asleepCondition = 'check-asleep';

export type TrackSort = 'problem' | 'unknown' | 'stale';

/** One condition of one resource of one check, and how it stands. */
export interface Track {
  readonly sort: TrackSort;
  readonly condition: string;
  readonly resource: string;
  state: TrackState;
  /** The last observation that saw it, kept while it is not well. */
  last?: Observation;
  /** Why the last look could not see it. */
  unseen?: string;
  /** Why it rests, as of the last look. */
  asleep?: string;
  /** The last look showed no such thing any more: it is well, but nobody looked at it. */
  isGone?: true;
  /** The finding as it was last stored, while firing. */
  finding?: Finding;
  /** False while the store lacks its present state. */
  isStored: boolean;
}

/** A check and all that is known through it. */
export interface Watch {
  readonly check: BoundCheck;
  readonly tracks: Map<string, Track>;
  /** End of the last look, whatever it saw. */
  lookedAt?: number;
}

/** One finished look. */
export interface LookResult {
  at: number;
  tookMs: number;
  observations: readonly Observation[];
}

/** A track that the look moved, with the state before. */
export interface Change {
  track: Track;
  before: TrackState;
}

export function keyOf(sort: TrackSort, condition: string, resource: string): string {
  return `${sort}\0${condition}\0${resource}`;
}

/** Something is about to turn: it is worth another look soon, however rarely the check looks. */
const unsettledMs = 60_000;
/** What is firing may be mended by hand at any time. */
const firingMs = 15 * 60_000;

/** When a check that looks rarely wants its next look because something is not well; undefined leaves it to its schedule. */
export function followUpMs({ check, tracks }: Watch): number | undefined {
  let soonest = Number.POSITIVE_INFINITY;
  for (const { state } of tracks.values()) {
    if (state.phase === 'pending' || state.phase === 'recovering') soonest = Math.min(soonest, unsettledMs);
    else if (state.phase === 'firing') soonest = Math.min(soonest, firingMs);
  }
  return soonest < check.intervalMs ? soonest : undefined;
}
