import type { z } from 'zod';
import { Failure, messageOf } from '#bus/failure.ts';
import { type JournalHead, rememberAnchor } from '#bus/journal.ts';
import { loadSecret } from '#bus/keys.ts';
import { agentHealth as agentHealthKind } from '#bus/messages/agent-health.ts';
import { type Approval, approval as approvalKind } from '#bus/messages/approval.ts';
import { finding as findingKind } from '#bus/messages/finding.ts';
import { incident as incidentKind } from '#bus/messages/incident.ts';
import type { MessageKind } from '#bus/message.ts';
import { proposal as proposalKind } from '#bus/messages/proposal.ts';
import { verdict as verdictKind } from '#bus/messages/verdict.ts';
import { verifyApproval } from '#bus/sign.ts';
import type { Agent, AgentContext } from '#agents/runtime/agent.ts';
import type { RateLimit } from '#agents/runtime/rate-limit.ts';
import { createSshPool, type SshPool } from '#agents/runtime/ssh.ts';
import { type AdmissionContext, decide } from './admission.ts';
import { Board } from './board.ts';
import { createDropped } from './dropped.ts';
import { FindingBook } from './findings.ts';
import { FreezeGate } from './freeze-gate.ts';
import { createPace } from './pace.ts';
import { type JudgingContext, notBelieved } from './persons-word.ts';
import { PlanEnds } from './plan-ends.ts';
import { Planning } from './planning.ts';
import { createReach, type Reach } from './reach.ts';
import { type RecoveryContext, recoverRuns, watchUnknown } from './recovery.ts';
import { Runs } from './runs.ts';
import { openRemediationStore, type RemediationStore } from './store.ts';
import { placesOfKeys, readTrustedKeys } from './trusted-keys.ts';
import { forgetOld } from './store/retention.ts';
import { serveVerbs } from './verbs.ts';

/** Expiry, clearing and what waits for the hosts. */
const roundMs = 15_000;
/** Sentinel is asked again for each verdict that is missing. */
const askAgainMs = 60_000;
/** What is over for long is looked for so often, to be forgotten. */
const forgetMs = 10 * 60_000;
/** How long a stopping worker waits for commands that run; what is left is looked at after the restart. */
const patienceMs = 10_000;

/** The worker: it runs approved plans over SSH and nothing else. */
export function createRemediation(context: AgentContext): Agent {
  return new Remediation(context);
}

class Remediation implements Agent {
  readonly name = 'remediation';
  readonly #context: AgentContext;
  readonly #store: RemediationStore;
  readonly #pool: SshPool;
  readonly #reach: Reach;
  readonly #board: Board;
  /** What it takes to judge a person's word. */
  readonly #judging: JudgingContext;
  readonly #freeze: FreezeGate;
  readonly #limit: RateLimit;
  readonly #runs: Runs;
  readonly #findings = new FindingBook();
  readonly #stopping = new AbortController();
  readonly #working = new Set<Promise<void>>();
  readonly #planning: Planning;
  readonly #ends: PlanEnds;
  readonly #deciding = new Set<string>();
  readonly #cancels: (() => void)[] = [];
  #isWatching = false;

  constructor(context: AgentContext) {
    const { stateFolder, keysFolder, baseFolder, clock, log, bus, inventory, metrics, config, people } = context;
    this.#context = context;
    this.#store = openRemediationStore(stateFolder, loadSecret(keysFolder, 'journal'), (text) =>
      context.log.error(text),
    );
    this.#pool = createSshPool({ log, clock });
    this.#reach = createReach({ inventory, baseFolder, pool: this.#pool });
    this.#board = new Board({ bus, store: this.#store, clock, log });
    const trustedKeys = () => readTrustedKeys({ config, keysFolder, baseFolder, log });
    const dropped = createDropped({ store: this.#store, clock, log });
    this.#judging = { store: this.#store, clock, people, trustedKeys, dropped };
    this.#freeze = new FreezeGate(this.#judging);
    this.#limit = createPace(clock);
    this.#ends = new PlanEnds({ store: this.#store, board: this.#board, clock, findings: this.#findings });
    this.#planning = new Planning({
      context,
      store: this.#store,
      reach: this.#reach,
      board: this.#board,
      findings: this.#findings,
      limit: this.#limit,
      dropped,
      stopping: this.#stopping.signal,
      track: (work) => this.#track(work),
      withdrawOver: () => this.#ends.withdrawOver(),
    });
    this.#runs = new Runs({
      store: this.#store,
      reach: this.#reach,
      board: this.#board,
      freeze: this.#freeze,
      clock,
      metrics,
      log,
      stopping: this.#stopping.signal,
    });
  }

  async start(): Promise<void> {
    const { bus } = this.#context;
    recoverRuns(this.#recovery());
    this.#freeze.join(bus, () => this.#decideOpen());
    this.#listen(findingKind, (message) => void (this.#findings.take(message) && this.#ends.withdrawOver()));
    bus.onClear(findingKind, (id) => {
      if (!this.#stopping.signal.aborted && this.#findings.end(id)) this.#ends.withdrawOver();
    });
    this.#listen(incidentKind, ({ id, state }) => {
      if (state === 'resolved' || state === 'closed') this.#ends.withdrawFor(id);
    });
    this.#listen(proposalKind, (message) => this.#planning.onProposal(message));
    this.#listen(approvalKind, (message) => this.#onApproval(message));
    this.#listen(agentHealthKind, ({ agent, at, journal }) => {
      // Each agent keeps the heads of the others, so that a journal cut short is noticed.
      if (journal !== undefined && agent !== this.name) {
        rememberAnchor(this.#store.rows, { agent, ...journal, at: Date.parse(at) });
      }
    });
    this.#listen(verdictKind, (message) => this.#runs.onVerdict(message));
    this.#cancels.push(this.#context.metrics.beforePage(() => this.#measure()));
    serveVerbs(bus, {
      store: this.#store,
      reach: this.#reach,
      board: this.#board,
      clock: this.#context.clock,
      freeze: this.#freeze,
      judging: this.#judging,
      limit: this.#limit,
      stopping: this.#stopping.signal,
      keyFiles: placesOfKeys(this.#context),
    });
    bus.onConnect(() => {
      if (!this.#stopping.signal.aborted) this.#board.all();
    });
    this.#resume();
    this.#every(roundMs, () => this.#round());
    this.#every(askAgainMs, () => this.#board.askAgain());
    this.#every(forgetMs, () => forgetOld(this.#store.rows, this.#context.clock.now()));
    this.#watch();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Failure('Cannot go on: the worker stops', { recoverable: true }));
    for (const cancel of this.#cancels.splice(0)) cancel();
    const settled = this.#runs.settled();
    const patience = new AbortController();
    await Promise.race([settled, this.#context.clock.sleep(patienceMs, patience.signal).catch(() => undefined)]);
    patience.abort();
    await this.#pool.close();
    await settled;
    await Promise.all(this.#working);
    this.#board.stop();
    this.#freeze.leave();
    this.#store.close();
  }

  queues(): Record<string, number> {
    return {
      plans: this.#planning.active,
      approvals: this.#deciding.size,
      runs: this.#runs.active,
    };
  }

  journalHead(): JournalHead {
    return this.#store.journal.head();
  }

  #recovery(): RecoveryContext {
    const { clock } = this.#context;
    return { store: this.#store, board: this.#board, runs: this.#runs, reach: this.#reach, clock };
  }

  /** What comes while the worker stops stays unacknowledged and comes again to the next one. */
  #listen<P extends z.ZodObject>(kind: MessageKind<P>, listener: (payload: z.output<P>) => void): void {
    this.#context.bus.subscribe(kind, (payload) => {
      if (this.#stopping.signal.aborted) {
        throw new Failure(`Cannot take a "${kind.name}": the worker stops`, { recoverable: true });
      }
      listener(payload);
    });
  }

  /** What was accepted and not done, because the process or the world failed meanwhile. */
  #resume(): void {
    this.#planning.resume();
    this.#decideOpen();
  }

  #decideOpen(): void {
    if (this.#stopping.signal.aborted) return;
    for (const open of this.#store.plans.openApprovals()) this.#decide(open);
  }

  #onApproval(approval: Approval): void {
    // Not stored, not answered: what nobody signed must neither fill the disk nor end the waiting for the real one.
    if (!verifyApproval(approval, this.#judging.trustedKeys())) {
      const { approver, signature } = approval;
      const body = { approver, key: signature.key, why: notBelieved };
      this.#judging.dropped.note({ kind: 'approval-dropped', subject: approval.plan, body });
      return;
    }
    const now = this.#context.clock.now();
    const isNew = this.#store.rows.transaction(() => {
      if (!this.#store.plans.saveApproval(approval, now)) return false;
      const { approver, decision, digest, id } = approval;
      this.#store.journal.append({
        at: now,
        kind: 'approval',
        subject: approval.plan,
        body: { id, approver, decision, digest },
      });
      return true;
    });
    if (isNew) this.#decide(approval);
    else this.#board.effectOf(approval.plan);
  }

  #decide(approval: Approval): void {
    // Until then an approval waits: somebody may have frozen everything while this process was away.
    if (!this.#freeze.isSettled || this.#deciding.has(approval.id)) return;
    this.#deciding.add(approval.id);
    this.#track(decide(this.#admission(), approval).finally(() => this.#deciding.delete(approval.id)));
  }

  #admission(): AdmissionContext {
    return {
      context: this.#context,
      store: this.#store,
      reach: this.#reach,
      board: this.#board,
      freeze: this.#freeze,
      runs: this.#runs,
      trustedKeys: this.#judging.trustedKeys,
    };
  }

  #measure(): void {
    const value = Number(this.#freeze.isFrozen);
    this.#context.metrics.gauge('frozen', 'Whether the kill switch holds all remediation back.', { value });
  }

  #round(): void {
    this.#ends.expire();
    recoverRuns(this.#recovery());
    this.#resume();
    this.#runs.closeForgotten();
    this.#board.sweep();
    this.#watch();
  }

  /** Hosts that answer slowly are not asked by two rounds at once. */
  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    const watched = watchUnknown(this.#recovery(), this.#stopping.signal);
    this.#track(watched.finally(() => (this.#isWatching = false)));
  }

  #every(ms: number, work: () => void): void {
    const arm = (): void => {
      const cancel = this.#context.clock.after(ms, () => {
        this.#cancels.splice(this.#cancels.indexOf(cancel), 1);
        arm();
        this.#track(Promise.try(work));
      });
      this.#cancels.push(cancel);
    };
    arm();
  }

  /** Work in the background: a Failure is logged and what asked for it is sent again; anything else is a bug. */
  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return;
        if (!(error instanceof Failure)) throw error;
        this.#context.log.error({ reason: messageOf(error) }, 'the worker could not do its work');
      })
      .finally(() => this.#working.delete(tracked));
    this.#working.add(tracked);
  }
}
