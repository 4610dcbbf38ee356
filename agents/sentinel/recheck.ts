import { Failure, messageOf } from '#bus/failure.ts';
import type { Bus } from '#bus/bus.ts';
import type { Run } from '#bus/messages/run.ts';
import { type Verdict, verdict } from '#bus/messages/verdict.ts';
import { type Clock, toInstant } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import type { Foreign } from './foreign/foreign.ts';
import { unseenReason } from './judge.ts';
import type { Ledger } from './ledger.ts';
import { isBad } from './picture.ts';
import type { SentinelStore } from './store.ts';
import type { LookResult, Track, Watch } from './tracks.ts';

/** A service may need a moment to come up: so long a bad result is not yet the last word. */
const patienceMs = 60_000;
/** Between the two good looks that make a recovery, and between looks at what is still bad. */
const confirmMs = 2_000;
const retryMs = 5_000;
const goodLooks = 2;

interface RecheckOptions {
  bus: Bus;
  store: SentinelStore;
  ledger: Ledger;
  /** What other programs report: whether it is reported now, and whether it ever was. */
  foreign: Pick<Foreign, 'has' | 'knows' | 'credit'>;
  lookNow: (check: string) => Promise<LookResult>;
  clock: Clock;
  log: Log;
  journal: (verdict: Verdict) => void;
}

/** One finding of the run, as the looks since the run saw it. */
interface Suspect {
  fingerprint: string;
  watch: Watch | undefined;
  /** Reported by another program: nobody but that program can look again. */
  isForeign: boolean;
  trackOf: () => Track | undefined;
  goods: number;
  ok: boolean | undefined;
  summary: string;
}

/**
 * Measures what a run did: repeats the checks of its findings until they settle. Contract: one verdict per run, stored
 * before it is told, told again whenever the run still asks; a restart goes on with what was accepted.
 */
export class Rechecks {
  readonly #options: RecheckOptions;
  readonly #working = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #untold = new Map<string, Verdict>();

  constructor(options: RecheckOptions) {
    this.#options = options;
  }

  get underWay(): number {
    return this.#working.size;
  }

  /** For each message about a run. */
  onRun(run: Run): void {
    if (run.status !== 'verifying') return;
    const known = this.#options.store.verdict(run.id);
    if (known !== undefined) {
      this.#tell(known);
      return;
    }
    this.#options.store.acceptRecheck(run, this.#options.clock.now());
    this.#begin(run);
  }

  /** Goes on with what an earlier process had accepted. */
  resume(): void {
    for (const run of this.#options.store.openRechecks()) this.#begin(run);
  }

  /** After a reconnect: what was decided while nobody could hear it. */
  tellAgain(): void {
    for (const waiting of this.#untold.values()) this.#tell(waiting);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Failure('Cannot go on: sentinel stops', { recoverable: true }));
    await Promise.all(this.#working.values());
  }

  #begin(run: Run): void {
    if (this.#working.has(run.id)) return;
    const work = this.#work(run).finally(() => this.#working.delete(run.id));
    this.#working.set(run.id, work);
  }

  async #work(run: Run): Promise<void> {
    try {
      const measured = await this.#measure(run);
      this.#options.store.rows.transaction(() => {
        this.#options.store.saveVerdict(measured);
        this.#options.journal(measured);
      });
      this.#tell(measured);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      if (!(error instanceof Failure)) throw error;
      // The run goes on asking, and is measured anew then.
      this.#options.log.error({ run: run.id, reason: messageOf(error) }, 'a run could not be rechecked');
    }
  }

  async #measure(run: Run): Promise<Verdict> {
    const { clock } = this.#options;
    const suspects = run.findings.map((fingerprint) => this.#suspect(fingerprint));
    const deadline = clock.now() + patienceMs;
    for (;;) {
      const fresh = this.#freshTrouble(run);
      await this.#look(suspects, fresh);
      const outcome = this.#outcome(run, suspects, clock.now() >= deadline);
      if (outcome === 'fixed') this.#confirm(run, suspects);
      if (outcome !== undefined) return this.#verdict(run, outcome, suspects);
      const isNearlyGood = suspects.every(({ goods }) => goods > 0);
      await clock.sleep(isNearlyGood ? confirmMs : retryMs, this.#stopping.signal);
    }
  }

  #suspect(fingerprint: string): Suspect {
    const { store, ledger, foreign } = this.#options;
    const subject = store.subject(fingerprint);
    const watch = subject && ledger.find(subject)?.watch;
    const isForeign = subject === undefined && (foreign.has(fingerprint) || foreign.knows(fingerprint));
    const reason = subject === undefined ? 'No finding of this name is known' : 'Its check is no longer configured';
    return {
      fingerprint,
      watch,
      isForeign,
      trackOf: () => (subject === undefined ? undefined : ledger.find(subject)?.track),
      goods: 0,
      ok: undefined,
      summary: watch === undefined ? reason : '',
    };
  }

  /** Looks once at every check that matters; the state machine folds the results in and says what they mean. */
  async #look(suspects: readonly Suspect[], fresh: readonly Watch[]): Promise<void> {
    const checks = new Set([...suspects.flatMap(({ watch }) => watch ?? []), ...fresh].map(({ check }) => check.id));
    const results = new Map<string, LookResult>();
    await Promise.all(
      [...checks].map(async (check) => {
        results.set(check, await this.#options.lookNow(check));
      }),
    );
    this.#stopping.signal.throwIfAborted();
    for (const suspect of suspects) {
      const result = suspect.watch && results.get(suspect.watch.check.id);
      if (result !== undefined) Object.assign(suspect, read(suspect.trackOf(), result));
      else if (suspect.isForeign) Object.assign(suspect, this.#reported(suspect.fingerprint));
      else continue;
      suspect.goods = suspect.ok === true ? suspect.goods + 1 : 0;
    }
  }

  /** Its sender looks in its own time: that it has not taken it back yet says nothing. */
  #reported(fingerprint: string): Pick<Suspect, 'ok' | 'summary'> {
    return this.#options.foreign.has(fingerprint)
      ? { ok: undefined, summary: 'Whoever reported it has not taken it back yet' }
      : { ok: true, summary: 'Whoever reported it has taken it back' };
  }

  /** Checks of the run's hosts that show something critical which began after the run did, and is not its own. */
  #freshTrouble(run: Run): Watch[] {
    return [...this.#options.ledger.watches.values()].filter((watch) => this.#trouble(run, watch) !== undefined);
  }

  #trouble(run: Run, { check, tracks }: Watch): 'firing' | 'pending' | undefined {
    const { host } = check.config;
    if (host === undefined || !run.hosts.includes(host)) return undefined;
    const troubles = [...tracks.values()].filter((track) => isNewTrouble(run, track)).map(({ state }) => state.phase);
    if (troubles.includes('firing')) return 'firing';
    return troubles.length > 0 ? 'pending' : undefined;
  }

  #outcome(run: Run, suspects: readonly Suspect[], isLate: boolean): Verdict['outcome'] | undefined {
    const troubles = this.#freshTrouble(run).map((watch) => this.#trouble(run, watch));
    if (troubles.includes('firing')) return 'worse';
    if (suspects.every(({ watch, isForeign }) => watch === undefined && !isForeign)) return 'unknown';
    const isSettled = suspects.every(({ goods }) => goods >= goodLooks) && troubles.length === 0;
    if (isSettled) return 'fixed';
    if (!isLate) return undefined;
    if (troubles.length > 0) return 'worse';
    return suspects.some(({ ok }) => ok === false) ? 'not-fixed' : 'unknown';
  }

  #confirm(run: Run, suspects: readonly Suspect[]): void {
    const endedBy = `fixed by playbook ${run.playbook} (run ${run.id})`;
    for (const { fingerprint, watch, isForeign, trackOf } of suspects) {
      const track = trackOf();
      const credit = { fingerprint, endedBy, since: Date.parse(run.startedAt ?? run.updatedAt) };
      if (watch !== undefined && track !== undefined) this.#options.ledger.confirm(watch, track, credit);
      else if (isForeign) this.#options.foreign.credit(credit);
    }
  }

  #verdict(run: Run, outcome: Verdict['outcome'], suspects: readonly Suspect[]): Verdict {
    return {
      run: run.id,
      ...(run.incident !== undefined && { incident: run.incident }),
      outcome,
      checks: suspects.map(({ fingerprint, ok, summary }) => ({
        fingerprint,
        ...(ok !== undefined && { ok }),
        summary: summary.slice(0, 600),
      })),
      at: toInstant(this.#options.clock.now()),
    };
  }

  #tell(measured: Verdict): void {
    const { bus } = this.#options;
    if (bus.connected) this.#untold.delete(measured.run);
    else this.#untold.set(measured.run, measured);
    bus.publish(verdict, measured);
  }
}

/** What the state machine made of the look: well, bad, or nothing known. */
function read(track: Track | undefined, { observations }: LookResult): Pick<Suspect, 'ok' | 'summary'> {
  const reasons = observations.map(({ reading }) => unseenReason(reading));
  const [reason] = reasons;
  if (reason !== undefined && !reasons.includes(undefined))
    return { ok: undefined, summary: `Not looked at: ${reason}` };
  if (track?.unseen !== undefined) return { ok: undefined, summary: `Not looked at: ${track.unseen}` };
  const shown = observations.find(
    ({ condition, resource }) => condition === track?.condition && resource === track.resource,
  );
  const ok = track === undefined || !isBad(track.state);
  return { ok, summary: shown?.summary ?? (ok ? 'It no longer shows' : 'It still shows') };
}

/** Critical, bad at the last look, begun after the run did, and not what the run was to mend. */
function isNewTrouble(run: Run, { sort, state, finding }: Track): boolean {
  if (sort !== 'problem' || state.phase === 'ok' || !isBad(state)) return false;
  const isOwn = finding !== undefined && run.findings.includes(finding.fingerprint);
  return !isOwn && state.severity === 'critical' && state.since >= Date.parse(run.startedAt ?? run.updatedAt);
}
