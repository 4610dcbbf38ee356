import type { Finding } from '#bus/messages/finding.ts';
import { type Clock, toInstant } from '#agents/runtime/clock.ts';
import { eventBetween, type FindingEvent, newFinding, refreshed, resolvedFinding } from './finding.ts';
import { fold, foldConfirmed, foldStale } from './fold.ts';
import { byItself, type Credit, type History } from './history.ts';
import type { Keeping } from './keeping.ts';
import type { OtherCheck } from './check.ts';
import type { BoundCheck } from './registry.ts';
import { calm, isFiring } from './state.ts';
import type { SentinelStore, StoredTrack, Subject } from './store.ts';
import { type Change, keyOf, type LookResult, type Track, type Watch } from './tracks.ts';

/** Missed intervals after which a check counts as not looked at. */
const staleIntervals = 3;

/** A finding that began, changed or ended, already stored. */
export interface LedgerEvent {
  event: FindingEvent;
  finding: Finding;
  watch: Watch;
  track: Track;
}

interface LedgerOptions {
  checks: readonly BoundCheck[];
  store: SentinelStore;
  history: History;
  clock: Clock;
  keeping: Keeping;
  /** Appends to the audit journal; called inside the transaction that stores the finding. */
  journal: (event: FindingEvent, finding: Finding) => void;
  /** Contract: called after the finding was stored, or could not be because the disk refuses. */
  tell: (event: LedgerEvent) => void;
}

/** What goes into the store and the history beside the tracks. */
interface Beside {
  at: number;
  /** The check's memory, when a look changed it. */
  memory?: string;
  /** How a finding that ends now ended, for its history. */
  endedBy?: string;
}

/**
 * How everything stands: all tracks of all checks, kept in step with the store. A look goes in, findings come out:
 * first into the store, then to `tell`.
 */
export class Ledger {
  readonly watches = new Map<string, Watch>();
  readonly #options: LedgerOptions;
  /** Findings that a full disk kept out of the store; written with the next look that can be. */
  readonly #unsaved = new Map<string, Finding>();
  readonly #startedAt: number;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
    for (const check of options.checks) this.watches.set(check.id, { check, tracks: new Map() });
  }

  /** Takes up what was stored. What belongs to a check that is gone ends here. */
  restore(): void {
    for (const stored of this.#options.store.tracks()) {
      const watch = this.watches.get(stored.check);
      if (watch === undefined) this.#endOrphan(stored);
      else watch.tracks.set(keyOf(stored.sort, stored.condition, stored.resource), trackFrom(stored));
    }
  }

  /** Folds a finished look in, with the memory of the check when the look changed it. */
  take(watch: Watch, result: LookResult, memory?: string): void {
    const changes = [...fold(watch, result), ...foldStale(watch, false, result.at)];
    this.#options.keeping.guard(() => this.#sample(watch, result));
    this.#settle(watch, changes, { at: result.at, ...(memory !== undefined && { memory }) });
  }

  /** Ends what repeated looks proved to be over. The looks may have ended it themselves: its history says by what. */
  confirm(watch: Watch, track: Track, credit: Credit): void {
    const at = this.#options.clock.now();
    this.#settle(watch, foldConfirmed(watch, track, at), { at, endedBy: credit.endedBy });
    this.#options.keeping.guard(() => this.#options.history.credit(credit));
  }

  /** Finds the checks that have not been looked at for three intervals, whatever held them up. */
  markStale(): void {
    const now = this.#options.clock.now();
    for (const watch of this.watches.values()) {
      const patience = staleIntervals * watch.check.intervalMs + watch.check.config.timeout;
      const isStale = now - (watch.lookedAt ?? this.#startedAt) > patience;
      const changes = foldStale(watch, isStale, now);
      if (changes.length > 0) this.#settle(watch, changes, { at: now });
    }
  }

  find(subject: Subject): { watch: Watch; track: Track | undefined } | undefined {
    const watch = this.watches.get(subject.check);
    if (watch === undefined) return undefined;
    return { watch, track: watch.tracks.get(keyOf(subject.sort, subject.condition, subject.resource)) };
  }

  /** How it stands with looking at a check. */
  lookOf(id: string): OtherCheck | undefined {
    const watch = this.watches.get(id);
    if (watch === undefined) return undefined;
    const tracks = [...watch.tracks.values()];
    const blind = tracks.find(({ sort, state }) => sort === 'unknown' && state.phase !== 'ok');
    const { lookedAt, check } = watch;
    const resources = tracks.filter(({ sort }) => sort === 'problem').length;
    return { lookedAt, since: this.#startedAt, intervalMs: check.intervalMs, resources, unseen: blind?.unseen };
  }

  /** All that is firing, longest first. */
  firing(): Finding[] {
    const findings: Finding[] = [];
    for (const { tracks } of this.watches.values()) {
      for (const { finding } of tracks.values()) if (finding !== undefined) findings.push(finding);
    }
    return findings.toSorted((a, b) => a.startsAt.localeCompare(b.startsAt));
  }

  /** Puts evidence to a finding that still fires. */
  addEvidence(event: LedgerEvent, evidence: Finding['evidence']): void {
    const { track, watch } = event;
    if (track.finding?.occurrence !== event.finding.occurrence) return;
    // Receivers drop what is not newer than what they hold, and it may be gathered within one millisecond.
    const updatedAt = Math.max(this.#options.clock.now(), Date.parse(track.finding.updatedAt) + 1);
    const finding = { ...track.finding, evidence, updatedAt: toInstant(updatedAt) };
    track.finding = finding;
    this.#options.keeping.guard(() => this.#options.store.amend(finding));
    this.#options.tell({ event: 'updated', finding, watch, track });
  }

  #settle(watch: Watch, changes: readonly Change[], options: Beside): void {
    const events: LedgerEvent[] = [];
    for (const { track, before } of changes) {
      const event = eventBetween(before, track);
      const finding = event && findingAfter(event, { watch, track, at: options.at });
      if (event !== undefined && finding !== undefined) events.push({ event, finding, watch, track });
    }
    const tracks = [...watch.tracks.values()].filter((track) => !track.isStored);
    if (tracks.length > 0 || events.length > 0 || options.memory !== undefined) {
      this.#save({ watch, tracks, events, ...options });
    }
    for (const event of events) {
      this.#options.keeping.guard(() => this.#remember(event, options.endedBy));
      this.#options.tell(event);
    }
  }

  #save(of: Beside & { watch: Watch; tracks: Track[]; events: LedgerEvent[] }): void {
    for (const { finding } of of.events) this.#unsaved.set(finding.fingerprint, finding);
    const { store, journal } = this.#options;
    // A full disk must not silence the alarm about itself: what cannot be stored is told all the same.
    this.#options.keeping.guard(() => {
      store.rows.transaction(() => {
        store.save({
          check: of.watch.check.id,
          tracks: of.tracks,
          findings: [...this.#unsaved.values()],
          at: of.at,
          ...(of.memory !== undefined && { memory: of.memory }),
        });
        for (const { event, finding } of of.events) journal(event, finding);
      });
      for (const track of of.tracks) track.isStored = true;
      this.#unsaved.clear();
    });
  }

  #remember({ event, finding }: LedgerEvent, endedBy = byItself): void {
    if (event === 'fired') this.#options.history.began(finding);
    if (event === 'resolved') this.#options.history.ended(finding, endedBy);
  }

  #sample(watch: Watch, result: LookResult): void {
    for (const { condition, resource, reading } of result.observations) {
      if (reading.is !== 'level' || !Number.isFinite(reading.value)) continue;
      this.#options.history.sample(seriesOf(watch.check, condition, resource), reading.value);
    }
  }

  #endOrphan(stored: StoredTrack): void {
    const { clock, store, journal } = this.#options;
    const finding = stored.finding && resolvedFinding(stored.finding, clock.now());
    const track: Track = { ...stored, state: calm, isStored: false };
    delete track.finding;
    this.#options.keeping.guard(() => {
      store.rows.transaction(() => {
        store.save({
          check: stored.check,
          tracks: [track],
          findings: finding === undefined ? [] : [finding],
          at: clock.now(),
        });
        if (finding !== undefined) journal('resolved', finding);
      });
      if (finding !== undefined) this.#options.history.ended(finding, 'its check was removed');
    });
  }
}

/** The name of a series of values. */
export function seriesOf(check: BoundCheck, condition: string, resource: string): string {
  return `${check.id}\0${condition}\0${resource}`;
}

function trackFrom(stored: StoredTrack): Track {
  const { sort, condition, resource, state, finding } = stored;
  return { sort, condition, resource, state, isStored: true, ...(finding !== undefined && { finding }) };
}

/** Moves the track's finding on and returns what is to be told. */
function findingAfter(event: FindingEvent, of: { watch: Watch; track: Track; at: number }): Finding | undefined {
  const { watch, track, at } = of;
  switch (event) {
    case 'fired': {
      const finding = newFinding(watch.check, track, at);
      if (finding !== undefined) track.finding = finding;
      return finding;
    }
    case 'updated': {
      // Firing by the stored state, but its finding was never written: tell it as new words of the same occurrence.
      const finding =
        track.finding === undefined ? newFinding(watch.check, track, at) : refreshed(watch.check, track, at);
      if (finding !== undefined && isFiring(track.state)) track.finding = finding;
      return finding;
    }
    case 'resolved': {
      const finding = track.finding && resolvedFinding(track.finding, at);
      delete track.finding;
      return finding;
    }
  }
}
