import { z } from 'zod';
import type { CheckContext } from '#agents/sentinel/check.ts';
import type { NetworkLink } from './network-links.ts';
import { remember } from './remembered.ts';

/** Changes of the carrier within this time are counted together. */
export const flappingMs = 10 * 60_000;
/** A link that has been slower for so long is meant to be. */
const speedSettlesMs = 7 * 86_400_000;
const maximumLinks = 100;
const maximumChanges = 40;

const Known = z.object({
  wasUp: z.boolean(),
  /** Its highest speed in Mb/s, and when it was last seen. */
  speed: z.object({ megabits: z.number(), at: z.number() }).optional(),
  /** Counts of carrier changes and when each was first seen; the first is the last one from before the window. */
  changes: z.array(z.tuple([z.number(), z.number()])),
});
export type KnownLink = z.output<typeof Known>;

/** What was known of links before and now; one that is switched off is forgotten, so that it may change its cable. */
export function rememberLinks(
  links: readonly NetworkLink[],
  { memory, clock }: Pick<CheckContext, 'memory' | 'clock'>,
): ReadonlyMap<string, KnownLink> {
  const before = z.record(z.string(), Known).safeParse(memory.get('links')).data ?? {};
  const now = clock.now();
  const known = links.slice(0, maximumLinks).map((link): [string, KnownLink] => {
    const old = link.isOn ? before[link.name] : undefined;
    const speed = highestSpeed(link, { old: old?.speed, now });
    const changes = recentChanges(old?.changes ?? [], { count: link.carrierChanges, now });
    return [link.name, { wasUp: link.hasCarrier || (old?.wasUp ?? false), ...(speed && { speed }), changes }];
  });
  remember(memory, 'links', Object.fromEntries(known));
  return new Map(known);
}

/** How often a link lost or found its partner within the window. */
export function changesOf({ changes }: KnownLink): number {
  return (changes.at(-1)?.[1] ?? 0) - (changes[0]?.[1] ?? 0);
}

function highestSpeed(
  { hasCarrier, speed }: NetworkLink,
  of: { old: KnownLink['speed']; now: number },
): KnownLink['speed'] {
  if (!hasCarrier || speed === undefined) return of.old;
  const isStill = of.old !== undefined && of.old.megabits > speed && of.now - of.old.at < speedSettlesMs;
  if (isStill) return of.old;
  // The time is kept to the day: an unchanged link costs the store nothing.
  const day = 86_400_000;
  const isFresh = of.old?.megabits === speed && of.now - of.old.at < day;
  return isFresh ? of.old : { megabits: speed, at: of.now };
}

function recentChanges(
  old: KnownLink['changes'],
  of: { count: number | undefined; now: number },
): KnownLink['changes'] {
  const { count, now } = of;
  if (count === undefined) return [];
  const last = old.at(-1);
  // A reboot sets the counter back.
  if (last === undefined || count < last[1]) return [[now, count]];
  const all: KnownLink['changes'] = count === last[1] ? old : [...old, [now, count]];
  const from = all.findLastIndex(([at]) => at <= now - flappingMs);
  return all.slice(Math.max(0, from)).slice(-maximumChanges);
}
