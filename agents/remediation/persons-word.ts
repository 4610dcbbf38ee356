import type { TrustedKeys } from '#bus/sign.ts';
import type { People } from '#config/people.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Dropped } from './dropped.ts';
import type { RemediationStore } from './store.ts';

/** What it takes to judge a person's signed word: a thaw or an order. */
export interface JudgingContext {
  store: RemediationStore;
  clock: Clock;
  people: Pick<People, 'may'>;
  /** Read for each word: a signer may have been set up after the start. */
  trustedKeys: () => TrustedKeys;
  dropped: Dropped;
}

/** Clocks of two machines may differ by so much. */
export const skewMs = 60_000;
/** How long a word that was used is known, so that it counts once: far longer than any clock is set back. */
export const rememberedMs = 7 * 24 * 3_600_000;

/** Why a word does not count that nobody known has signed. */
export const notBelieved =
  'it is not signed by a key that the worker knows ("lares doctor" where it was signed says how to mend that)';
