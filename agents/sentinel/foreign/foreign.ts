import { fingerprintOf } from '#bus/fingerprint.ts';
import type { Finding } from '#bus/messages/finding.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { FindingEvent } from '#agents/sentinel/finding.ts';
import { byItself, type Credit, type History } from '#agents/sentinel/history.ts';
import type { Keeping } from '#agents/sentinel/keeping.ts';
import type { SentinelStore } from '#agents/sentinel/store.ts';
import type { ForeignAlert } from './alert.ts';
import { evidenceFor } from './evidence.ts';
import type { HostFinder } from './hosts.ts';
import { ForeignRows } from './rows.ts';
import { floodOf, ownLabels, type Word } from './own-word.ts';
import type { OpenAlert, Source } from './source.ts';
import { type Stand, standOf } from './stand.ts';
import {
  dismissed,
  ended,
  enriched,
  type Held,
  pulledBack,
  renewed,
  reported,
  soonestEnd,
  type Step,
  withdrawn,
} from './steps.ts';

/** Over all sources, so that a manifest has room for them and for what Lares sees itself. */
const maximumOpen = 1_500;
/** Alerts that end within so short a time are told together. */
const sweepMs = 1_000;
/** After the disk refused that. */
const retryMs = 60_000;
/** A clock that was set back is noticed after so long. */
const longestMs = 5 * 60_000;

interface ForeignOptions {
  sources: readonly Source[];
  store: SentinelStore;
  history: History;
  clock: Clock;
  keeping: Keeping;
  hostOf: HostFinder;
  /** Appends to the audit journal; called inside the transaction that stores the finding. */
  journal: (event: FindingEvent, finding: Finding, endedBy: string) => void;
  /** Contract: called after the finding was stored. */
  tell: (event: FindingEvent, finding: Finding) => void;
}

export interface Taken {
  firing: number;
  resolved: number;
  /** Beyond what may be open at once. */
  leftOut: number;
}

/**
 * What other programs report, beside what Lares sees itself. The same alert from two sources is one finding, which
 * ends when the last of them takes it back or falls silent. Contract: a Failure of the store leaves all as it was.
 */
export class Foreign {
  readonly #options: ForeignOptions;
  readonly #rows: ForeignRows;
  readonly #held = new Map<string, Held>();
  #cancelSweep: (() => void) | undefined;
  #isStopped = false;

  constructor(options: ForeignOptions) {
    this.#options = options;
    this.#rows = new ForeignRows(options.store.rows);
  }

  /** Takes up what was stored. Nobody could repeat anything while nobody listened: each gets time to. */
  restore(): void {
    const now = this.#options.clock.now();
    for (const { claim, finding } of this.#rows.claims()) {
      const claims = new Map(this.#held.get(finding.fingerprint)?.claims).set(claim.source, renewed(claim, now));
      this.#held.set(finding.fingerprint, { finding, claims });
    }
    const known = new Set(this.#options.sources.map(({ name }) => name));
    for (const [fingerprint, { claims }] of this.#held) {
      for (const source of claims.keys()) {
        if (!known.has(source))
          this.#options.keeping.guard(() =>
            this.#commit(this.#withdraw(fingerprint, source), 'its intake was removed'),
          );
      }
    }
    this.#arm();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelSweep?.();
  }

  /** All that is reported, longest first. */
  firing(): Finding[] {
    const findings = [...this.#held.values()].map(({ finding }) => finding);
    return findings.toSorted((a, b) => a.startsAt.localeCompare(b.startsAt));
  }

  has(fingerprint: string): boolean {
    return this.#held.has(fingerprint);
  }

  /** Whether it ever was. */
  knows(fingerprint: string): boolean {
    return this.#options.history.knows(fingerprint);
  }

  /** Notes what ended it. */
  credit(credit: Credit): void {
    this.#options.keeping.guard(() => this.#options.history.credit(credit));
  }

  /** What a source reports now, without what Lares says about the source. */
  openOf(source: string): OpenAlert[] {
    return [...this.#held.values()].flatMap(({ claims }) => {
      const claim = claims.get(source);
      return claim === undefined || claim.isOwn ? [] : [{ ...claim.alert, endsAt: claim.until }];
    });
  }

  /** Takes one delivery, in one transaction. Of the same alert twice the last counts. */
  take(source: Source, alerts: readonly ForeignAlert[]): Taken {
    const { clock, hostOf, history } = this.#options;
    const now = clock.now();
    const latest = new Map(alerts.map((alert) => [fingerprintOf(alert.labels), alert]));
    const stands = [...latest].map(([fingerprint, alert]) => this.#standOf(fingerprint, alert, { source, now }));
    const over = stands.filter(({ is }) => is === 'over');
    const fresh = stands.filter(({ is }) => is === 'new');
    const admitted = fresh.slice(0, Math.max(0, this.#roomFor(source)));
    const known = stands.filter(({ is }) => is === 'known');
    const leftOut = fresh.length - admitted.length;
    this.#commit([
      ...over.flatMap(
        ({ fingerprint, alert }) => ended(this.#held.get(fingerprint), alert, { source, now, history }) ?? [],
      ),
      ...[...known, ...admitted].map(({ fingerprint, alert, until }) =>
        reported(this.#held.get(fingerprint), alert, { fingerprint, source, until, now, hostOf }),
      ),
      ...(leftOut > 0 ? [this.#said(source, floodOf(source, leftOut, now))] : []),
    ]);
    this.#arm();
    return { firing: stands.length - over.length - leftOut, resolved: over.length, leftOut };
  }

  /** Adds what was found out about an occurrence after it was told; nothing when that is over meanwhile. */
  addEvidence({ fingerprint, occurrence }: Finding, evidence: Finding['evidence']): void {
    const held = this.#held.get(fingerprint);
    if (held?.finding.occurrence !== occurrence) return;
    this.#options.keeping.guard(() => this.#commit([enriched(held, evidence, this.#options.clock.now())]));
  }

  /** A person's word that these are over; tells how many were reported. Whoever reports one again opens it again. */
  dismiss(fingerprints: readonly string[], by: string): number {
    const now = this.#options.clock.now();
    const steps = fingerprints.flatMap((fingerprint) => dismissed(this.#held.get(fingerprint), now) ?? []);
    this.#commit(steps, `said to be over by ${by}`);
    this.#arm();
    return steps.length;
  }

  #standOf(fingerprint: string, alert: ForeignAlert, at: { source: Source; now: number }): Stand {
    const { history, store } = this.#options;
    const held = this.#held.get(fingerprint);
    const isOurs = store.subject(fingerprint) !== undefined;
    return standOf({ fingerprint, alert, held, isOurs }, { ...at, lastEnd: () => history.lastEnd(fingerprint) });
  }

  /** A check of Lares found what goes by this fingerprint: from now on only that check speaks of it. */
  giveWay(fingerprint: string): void {
    const held = this.#held.get(fingerprint);
    if (held === undefined) return;
    this.#held.delete(fingerprint);
    const gone = [...held.claims.keys()].map((source) => ({ fingerprint, source }));
    this.#options.keeping.guard(() => this.#options.store.rows.transaction(() => this.#rows.save(gone, [])));
  }

  /** A word of Lares about a source, until it is taken back. */
  say(source: Source, word: Word): void {
    this.#options.keeping.guard(() => this.#commit([this.#said(source, word)]));
    this.#arm();
  }

  unsay(source: Source, alertname: string): void {
    this.#options.keeping.guard(() =>
      this.#commit(this.#withdraw(fingerprintOf(ownLabels(source, alertname)), source.name)),
    );
  }

  #said(source: Source, word: Word): Step {
    const { alertname, ...rest } = word;
    const labels = ownLabels(source, alertname);
    const alert: ForeignAlert = { ...rest, status: 'firing', labels, details: [] };
    const { clock, hostOf } = this.#options;
    // One of Lares' own: no sender can take it back.
    const fingerprint = fingerprintOf(labels);
    const report = { fingerprint, source, until: word.endsAt, now: clock.now(), hostOf, isOwn: true };
    return reported(this.#held.get(fingerprint), alert, report);
  }

  #roomFor(source: Source): number {
    const open = this.openOf(source.name).length;
    return Math.min(source.config.maximumOpen - open, maximumOpen - this.#held.size);
  }

  #withdraw(fingerprint: string, source: string, endsAt?: number): Step[] {
    const at = { now: this.#options.clock.now(), ...(endsAt !== undefined && { endsAt }) };
    const step = withdrawn(this.#held.get(fingerprint), source, at);
    return step === undefined ? [] : [step];
  }

  #commit(steps: readonly Step[], endedBy = byItself): void {
    const told = steps.filter(({ event }) => event !== undefined).map((step) => this.#withEvidence(step));
    const stored = steps.flatMap((step) => step.stored);
    if (stored.length + told.length > 0) {
      this.#options.store.rows.transaction(() => {
        this.#rows.save(
          stored,
          told.map(({ finding }) => finding),
        );
        for (const { event, finding } of told) if (event !== undefined) this.#options.journal(event, finding, endedBy);
      });
    }
    for (const step of [...steps, ...told]) this.#keep(step);
    this.#options.keeping.guard(() => this.#remember(told, endedBy));
    for (const { event, finding } of told) if (event !== undefined) this.#options.tell(event, finding);
  }

  #withEvidence(step: Step): Step {
    const [claim] = step.claims.values();
    if (step.event !== 'fired' || claim === undefined) return step;
    return {
      ...step,
      finding: { ...step.finding, evidence: evidenceFor(step.finding, claim.alert, this.#options.history) },
    };
  }

  #keep({ fingerprint, finding, claims }: Step): void {
    if (claims.size === 0) this.#held.delete(fingerprint);
    else this.#held.set(fingerprint, { finding, claims });
  }

  #remember(steps: readonly Step[], endedBy: string): void {
    for (const { event, finding } of steps) {
      if (event === 'fired') this.#options.history.began(finding);
      if (event === 'resolved') this.#options.history.ended(finding, endedBy);
    }
  }

  /** Ends what was not told again in time. */
  #sweep(): void {
    this.#arm(this.#options.keeping.guard(() => this.#commit(this.#overdue())) ? sweepMs : retryMs);
  }

  #overdue(): Step[] {
    const now = this.#options.clock.now();
    const steps: Step[] = [];
    for (const [fingerprint, { finding, claims: before }] of this.#held) {
      const claims = new Map([...before].map(([source, claim]) => [source, pulledBack(claim, now)]));
      this.#held.set(fingerprint, { finding, claims });
      const over = [...claims.values()].filter(({ until }) => until !== undefined && until <= now);
      const [first] = over;
      // A second claim that ends in the same second ends with the next sweep.
      if (first !== undefined) steps.push(...this.#withdraw(fingerprint, first.source));
    }
    return steps;
  }

  #arm(soonestMs = sweepMs): void {
    this.#cancelSweep?.();
    if (this.#isStopped) return;
    const soonest = soonestEnd(this.#held.values());
    if (soonest === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.max(soonestMs, Math.min(soonest - this.#options.clock.now(), longestMs));
    this.#cancelSweep = this.#options.clock.after(waitMs, () => this.#sweep());
  }
}
