import type { ForeignAlert } from './alert.ts';
import type { Source } from './source.ts';
import { deadlineOf, type Held, isAnothers } from './steps.ts';

/** How an alert of a delivery stands to what is held. */
export interface Stand {
  /** `taken`: that fingerprint is Lares' own, or that of other labels. */
  is: 'over' | 'known' | 'new' | 'taken';
  fingerprint: string;
  alert: ForeignAlert;
  until: number | undefined;
}

interface Standing {
  fingerprint: string;
  alert: ForeignAlert;
  held: Held | undefined;
  /** A check of Lares speaks of this fingerprint. */
  isOurs: boolean;
}

/**
 * Lares' own words may come back through somebody who watches Lares: the check that said them ends them. And two label
 * sets with one of Alertmanager's fingerprints are easily made: a sender speaks of no alert that is not theirs.
 * `lastEnd` tells when the fingerprint ended the last time, epoch ms.
 */
export function standOf(
  { fingerprint, alert, held, isOurs }: Standing,
  at: { source: Source; now: number; lastEnd: () => number | undefined },
): Stand {
  const until = deadlineOf(alert, at.source, at.now);
  const of = { fingerprint, alert, until };
  if (isOurs || isAnothers(held, alert.labels)) return { ...of, is: 'taken' };
  if (alert.status === 'resolved' || (until !== undefined && until <= at.now)) return { ...of, is: 'over' };
  if (held?.claims.has(at.source.name) === true) return { ...of, is: 'known' };
  return { ...of, is: isPast(alert, at) ? 'over' : 'new' };
}

/** A message that comes late or again, about what has ended since. */
function isPast(
  { saidAt }: ForeignAlert,
  { now, lastEnd }: { now: number; lastEnd: () => number | undefined },
): boolean {
  if (saidAt === undefined) return false;
  const end = lastEnd();
  // An end that is still to come was noted by a clock that was set back since.
  return end !== undefined && end <= now && saidAt <= end;
}
