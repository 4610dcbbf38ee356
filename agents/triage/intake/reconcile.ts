import type { Finding } from '#bus/messages/finding.ts';
import type { Manifest } from '#bus/messages/manifest.ts';

/** What is held of one fingerprint: its newest occurrence. Times are epoch ms. */
export interface Held {
  fingerprint: string;
  occurrence: string;
  status: Finding['status'];
  startsAt: number;
  updatedAt: number;
  /** The sentinel whose manifest named it last. */
  sentinel: string | undefined;
  /** A verdict said it is over; counts as over until the sentinel goes on naming it for long. */
  settledAt: number | undefined;
}

/** The clocks of two machines may differ by so much. A time further ahead was told by a clock that was set back since. */
export const aheadMs = 10 * 60_000;

type Merge = 'new' | 'update' | 'resolved' | 'ignored';

/**
 * What an arriving finding means beside what is held. Deliveries repeat and overtake each other: an occurrence that
 * was resolved stays so, an older occurrence never replaces a newer one, an older update changes nothing. What is held
 * from the future is older than all: else a clock that was a day ahead would hide what happens for a day.
 */
export function mergeFinding(held: Held | undefined, incoming: Finding, now: number): Merge {
  if (held === undefined) return incoming.status === 'firing' ? 'new' : 'resolved';
  if (held.occurrence === incoming.occurrence) {
    if (held.status === 'resolved') return 'ignored';
    if (incoming.status === 'resolved') return 'resolved';
    const isUpdate = Date.parse(incoming.updatedAt) > held.updatedAt || held.updatedAt > now + aheadMs;
    return isUpdate ? 'update' : 'ignored';
  }
  if (!isNewer(incoming, held) && held.startsAt <= now + aheadMs) return 'ignored';
  return incoming.status === 'firing' ? 'new' : 'resolved';
}

function isNewer(incoming: Finding, held: Held): boolean {
  const startsAt = Date.parse(incoming.startsAt);
  return startsAt > held.startsAt || (startsAt === held.startsAt && Date.parse(incoming.updatedAt) > held.updatedAt);
}

interface Differences {
  /** Held as firing and named no more: they ended and the message was missed. */
  over: string[];
  /** Named and not held: the message was missed. */
  missing: string[];
  /** Named again although a verdict called them over, and for longer than recovery takes. */
  contradicted: string[];
  /** Named and held. */
  confirmed: string[];
}

/** Recovery takes several good checks: so long a verdict counts for more than a sentinel that still names the finding. */
export const verdictHoldsMs = 5 * 60_000;

/**
 * Compares a sentinel's manifest with what is held. A finding without a known owner belongs to the only sentinel that
 * there is.
 */
export function compareManifest(manifest: Manifest, held: Iterable<Held>, onlySentinel: boolean): Differences {
  const at = Date.parse(manifest.at);
  const named = new Map(manifest.firing.map((entry) => [entry.fingerprint, entry.occurrence]));
  const result: Differences = { over: [], missing: [], contradicted: [], confirmed: [] };
  const known = new Set<string>();
  for (const finding of held) {
    const isNamed = named.get(finding.fingerprint) === finding.occurrence;
    if (isNamed) known.add(finding.fingerprint);
    if (finding.status !== 'firing') continue;
    if (isNamed) {
      result.confirmed.push(finding.fingerprint);
      if (finding.settledAt !== undefined && at >= finding.settledAt + verdictHoldsMs)
        result.contradicted.push(finding.fingerprint);
    } else if (finding.updatedAt <= at && (finding.sentinel ?? manifest.sentinel) === manifest.sentinel) {
      if (finding.sentinel !== undefined || onlySentinel) result.over.push(finding.fingerprint);
    }
  }
  result.missing = [...named.keys()].filter((fingerprint) => !known.has(fingerprint));
  return result;
}
