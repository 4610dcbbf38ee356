import type { Observation } from './check.ts';
import { judge, ruleFor, staleRule, unknownRule, unseenReason } from './judge.ts';
import { type Sightings, sightingsOf } from './sightings.ts';
import { calm, isFiring, type Look, next, type Rule } from './state.ts';
import {
  type Change,
  keyOf,
  type LookResult,
  staleCondition,
  type Track,
  unknownCondition,
  type Watch,
} from './tracks.ts';

/**
 * Folds one look into the tracks of its check. Contract: what could not be seen stays as it is; what a complete look
 * no longer shows counts as well.
 */
export function fold(watch: Watch, result: LookResult): Change[] {
  const { seen, left } = sightingsOf(watch, result.observations);
  const blind = blindness(watch, { seen, left });
  const mover = new Mover(watch, result.at);
  for (const [key, observation] of seen) foldSeen(mover, key, observation);
  for (const [key, track] of watch.tracks)
    if (track.sort === 'problem' && !seen.has(key)) foldMissing(mover, track, blind);
  foldUnseen(mover, blind);
  watch.lookedAt = result.at;
  drop(watch, seen);
  return mover.changes;
}

/** Marks a check as not looked at, or as looked at again. */
export function foldStale(watch: Watch, isStale: boolean, now: number): Change[] {
  const key = keyOf('stale', staleCondition, watch.check.resource);
  if (!isStale && !watch.tracks.has(key)) return [];
  const mover = new Mover(watch, now);
  const track = trackOf(watch, key, { sort: 'stale', condition: staleCondition, resource: watch.check.resource });
  mover.move(track, isStale ? { is: 'bad', severity: 'warning' } : { is: 'good' }, staleRule);
  return mover.changes;
}

/** Ends a condition that repeated looks after a run proved to be over. */
export function foldConfirmed(watch: Watch, track: Track, now: number): Change[] {
  const mover = new Mover(watch, now);
  mover.move(track, { is: 'confirmed' }, ruleFor(watch.check, track.last));
  return mover.changes;
}

/** Takes looks to tracks of one check and keeps what moved, and what fires and may have new words. */
class Mover {
  readonly watch: Watch;
  readonly changes: Change[] = [];
  readonly #now: number;

  constructor(watch: Watch, now: number) {
    this.watch = watch;
    this.#now = now;
  }

  move(track: Track, look: Look, rule: Rule): void {
    const before = track.state;
    track.state = next(before, look, { now: this.#now, rule });
    if (track.state !== before || isFiring(before)) this.changes.push({ track, before });
    if (track.state !== before) track.isStored = false;
    if (track.state.phase === 'ok') delete track.last;
  }
}

function foldSeen(mover: Mover, key: string, observation: Observation): void {
  const { check, tracks } = mover.watch;
  const reason = unseenReason(observation.reading);
  // What never was seen is not there to be well or sick; that it cannot be looked at is said by `foldUnseen`.
  if (reason !== undefined && !tracks.has(key)) return;
  const track = trackOf(mover.watch, key, { sort: 'problem', ...observation });
  delete track.isGone;
  if (reason === undefined) {
    delete track.unseen;
    track.last = observation;
  } else track.unseen = reason;
  if (observation.reading.is === 'asleep') track.asleep = observation.reading.reason;
  else delete track.asleep;
  mover.move(track, judge(observation.reading, track.state, check.config.severity), ruleFor(check, observation));
}

function foldMissing(mover: Mover, track: Track, blind: Blindness): void {
  const reason = blind.of(track);
  if (reason === undefined) {
    delete track.unseen;
    track.isGone = true;
    mover.move(track, { is: 'good' }, ruleFor(mover.watch.check, track.last));
  } else track.unseen = reason;
}

/** "Could not look" is a condition of its own, one per resource, unless a problem of that resource explains it. */
function foldUnseen(mover: Mover, blind: Blindness): void {
  const { watch } = mover;
  const rule = unknownRule(watch.check);
  const sick = sickResources(watch);
  for (const [resource, reason] of blind.reasons) {
    if (sick.has(resource)) continue;
    const key = keyOf('unknown', unknownCondition, resource);
    const track = trackOf(watch, key, { sort: 'unknown', condition: unknownCondition, resource });
    track.unseen = reason;
    mover.move(track, { is: 'bad', severity: 'warning' }, rule);
  }
  if (blind.isComplete) return;
  for (const track of watch.tracks.values()) {
    if (track.sort !== 'unknown' || (blind.reasons.has(track.resource) && !sick.has(track.resource))) continue;
    delete track.unseen;
    mover.move(track, { is: 'good' }, rule);
  }
}

function sickResources(watch: Watch): Set<string> {
  const sick = new Set<string>();
  for (const track of watch.tracks.values()) {
    if (track.sort === 'problem' && track.unseen === undefined && track.state.phase !== 'ok') sick.add(track.resource);
  }
  return sick;
}

interface Blindness {
  /** Reason by resource that could not be looked at. */
  reasons: ReadonlyMap<string, string>;
  /** Nothing at all was seen. */
  isComplete: boolean;
  /** Why a track that the look does not show may be there all the same. */
  of(track: Track): string | undefined;
}

function blindness(watch: Watch, { seen, left }: Sightings): Blindness {
  const observations = [...seen.values()];
  const reasons = new Map<string, string>();
  const byCondition = new Map<string, string>();
  let whole: string | undefined;
  const known = new Set([...watch.tracks.values()].map((track) => track.condition));
  for (const observation of observations) {
    const { condition, resource } = observation;
    const reason = unseenReason(observation.reading);
    if (observation.hidesRest === true) whole ??= hiding(observation);
    if (reason === undefined) continue;
    reasons.set(resource, reason);
    byCondition.set(condition, reason);
    if (resource === watch.check.resource || !known.has(condition)) whole ??= reason;
  }
  const isComplete = reasons.size > 0 && observations.every(({ reading }) => unseenReason(reading) !== undefined);
  if (isComplete) whole ??= [...reasons.values()][0];
  if (left > 0) reasons.set(watch.check.resource, `it reports ${left} more things than are looked at`);
  return { reasons, isComplete, of: (track) => whole ?? byCondition.get(track.condition) };
}

/** Why what lies behind it was not looked at; undefined while it is well. */
function hiding({ reading, summary }: Observation): string | undefined {
  return unseenReason(reading) ?? (judge(reading, calm).is === 'bad' ? summary : undefined);
}

function trackOf(watch: Watch, key: string, as: Pick<Track, 'sort' | 'condition' | 'resource'>): Track {
  const known = watch.tracks.get(key);
  if (known !== undefined) return known;
  const { sort, condition, resource } = as;
  const track: Track = { sort, condition, resource, state: calm, isStored: true };
  watch.tracks.set(key, track);
  return track;
}

/** Forgets what is well and gone. Tracks whose end is not stored yet stay until it is. */
function drop(watch: Watch, seen: ReadonlyMap<string, Observation>): void {
  for (const [key, track] of watch.tracks) {
    const isGone = track.sort === 'problem' ? !seen.has(key) && track.unseen === undefined : true;
    if (isGone && track.state === calm && track.isStored) watch.tracks.delete(key);
  }
}
