import { Failure, messageOf } from '#bus/failure.ts';
import type { Approval } from '#bus/messages/approval.ts';
import type { Plan, PlanBody } from '#bus/messages/plan.ts';
import type { Verdict } from '#bus/messages/verdict.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import type { Metrics } from '#agents/runtime/metrics.ts';
import type { Playbook } from '#playbooks/playbook.ts';
import { Execution, type ExecutorContext, type RunEnd } from './execute.ts';
import { guardProbes } from './guard-probes.ts';
import { hostsOf } from './plan.ts';
import type { RunHead } from './store/runs.ts';
import { resourcesOf, targetsOf } from './targets.ts';

interface RunsContext extends ExecutorContext {
  log: Log;
  metrics: Metrics;
}

/** A plan that was admitted, with the playbook as its file says now. */
interface Admitted {
  plan: Plan;
  body: PlanBody;
  playbook: Playbook;
  approval: Approval;
}

/** A day without a verdict: sentinel does not know the checks any more. */
const verdictPatienceMs = 24 * 3_600_000;

/** One plan has one run: a second claim cannot even be written. */
export function runIdOf(plan: string): string {
  return `run-${plan.replace(/^plan-/, '')}`;
}

/** The life of runs: claimed, run, verified, closed. */
export class Runs {
  readonly #by: RunsContext;
  readonly #active = new Map<string, Promise<void>>();

  constructor(by: RunsContext) {
    this.#by = by;
  }

  get active(): number {
    return this.#active.size;
  }

  isActive(run: string): boolean {
    return this.#active.has(run);
  }

  /**
   * Takes the plan, locks its hosts and writes that it was approved: all or nothing. False when it was taken before.
   * Contract: called in the same turn as the last look at the guards, so that nothing comes between.
   */
  claim({ plan, body, playbook, approval }: Admitted): boolean {
    const { store, clock } = this.#by;
    const now = clock.now();
    const head: RunHead = {
      id: runIdOf(plan.id),
      plan: plan.id,
      ...(plan.incident !== undefined && { incident: plan.incident }),
      playbook: plan.playbook,
      hosts: hostsOf(body),
      findings: plan.findings,
      status: 'queued',
      approver: approval.approver,
      approval: approval.id,
      updatedAt: toInstant(now),
    };
    return store.rows.transaction(() => {
      const on = {
        targets: targetsOf(playbook, hostsOf(body), body.parameters),
        resources: resourcesOf(body),
        playbookDigest: body.playbookDigest,
      };
      if (!store.runs.claim(head, on, now)) return false;
      store.plans.decide(plan.id, { status: 'approved', at: now });
      store.plans.endApproval(approval.id, 'admitted');
      const { approver, digest } = approval;
      store.journal.append({ at: now, kind: 'admission', subject: plan.id, body: { run: head.id, approver, digest } });
      return true;
    });
  }

  /** Runs what was claimed, in the background. */
  begin(admitted: Admitted): void {
    const id = runIdOf(admitted.plan.id);
    const work = this.#work(id, admitted)
      .catch((error: unknown) => {
        // The state could not be written. Nothing further is run, and the next round takes the run up as interrupted.
        if (!(error instanceof Failure)) throw error;
        this.#by.log.error({ run: id, reason: messageOf(error) }, 'a run was interrupted');
      })
      .finally(() => this.#active.delete(id));
    this.#active.set(id, work);
  }

  /** Resolves when nothing runs any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#active.values());
  }

  async #work(id: string, { plan, body, playbook }: Admitted): Promise<void> {
    const { store, board, reach, clock, freeze, stopping } = this.#by;
    board.plan(plan.id);
    board.run(id);
    const refusal = await this.#guarded(body);
    if (refusal !== undefined) {
      this.refuse(id, refusal);
      return;
    }
    this.#change(id, { status: 'started', startedAt: toInstant(clock.now()) });
    board.run(id);
    const { concurrency, outputBytes } = playbook.limits;
    const execution = new Execution(
      { store, board, reach, clock, freeze, stopping },
      { run: id, plan, body, limits: { concurrency, outputBytes } },
    );
    const ended = await execution.execute();
    if (ended.hasRun) this.#finish(id, ended);
    else this.refuse(id, `nothing ran: ${this.#firstOutput(id) ?? ended.reason ?? 'no step could start'}`);
  }

  /** Asks the hosts once more. Freezing ends the question too. */
  async #guarded(body: PlanBody): Promise<string | undefined> {
    const { reach, freeze, stopping } = this.#by;
    const signal = AbortSignal.any([freeze.signal, stopping]);
    try {
      return await guardProbes(body, { reach, signal });
    } catch (error) {
      if (!signal.aborted) throw error;
      return freeze.isFrozen ? 'everything was frozen before it began' : 'the worker was stopped before it began';
    }
  }

  #firstOutput(id: string): string | undefined {
    return this.#by.store.runs.steps(id).find(({ status }) => status === 'failed')?.output;
  }

  /** Nothing ran, and nothing of this plan will. */
  refuse(id: string, reason: string): void {
    const { store, board, clock } = this.#by;
    const now = clock.now();
    store.rows.transaction(() => {
      this.#change(id, { status: 'refused', end: 'refused', reason, endedAt: toInstant(now) });
      store.runs.end(id, now);
      store.runs.unlock(id);
      store.runs.close(id, now);
      store.journal.append({ at: now, kind: 'run', subject: id, body: { end: 'refused', reason } });
    });
    this.#count('refused');
    board.run(id);
  }

  #finish(id: string, ended: RunEnd): void {
    const { store, board, clock } = this.#by;
    const now = clock.now();
    const { end, reason } = ended;
    store.rows.transaction(() => {
      this.#change(id, { status: end, end, endedAt: toInstant(now), ...(reason !== undefined && { reason }) });
      store.runs.end(id, now);
      if (ended.isOver) store.runs.unlock(id);
      store.journal.append({ at: now, kind: 'run', subject: id, body: { end, reason: reason ?? null } });
    });
    this.#count(end);
    board.run(id);
    this.verify(id);
  }

  /** From here on sentinel is asked until it says what the run did. */
  verify(id: string): void {
    this.#change(id, { status: 'verifying' });
    this.#by.board.run(id);
  }

  /** Sentinel's word. Told again it changes nothing. */
  onVerdict(verdict: Verdict): void {
    const { store, board, clock } = this.#by;
    const head = store.runs.head(verdict.run);
    // A verdict on a run that still runs is not about what it will have done.
    if (head?.status !== 'verifying') return;
    const now = clock.now();
    store.rows.transaction(() => {
      if (!store.runs.saveVerdict(verdict, now)) return;
      this.#change(head.id, { status: 'verified' });
      if (verdict.outcome === 'not-fixed' || verdict.outcome === 'worse') this.#block(head, verdict, now);
      store.journal.append({ at: now, kind: 'verdict', subject: head.id, body: { outcome: verdict.outcome } });
    });
    board.run(head.id);
  }

  #block(head: RunHead, verdict: Verdict, now: number): void {
    const { store } = this.#by;
    const reason = `run ${head.id} ended "${head.end ?? head.status}" and its verdict was "${verdict.outcome}"`;
    for (const { host, target } of store.runs.targets(head.id)) {
      store.guards.block({ playbook: head.playbook, target, host, run: head.id, reason, at: now });
    }
  }

  /** Gives up on verdicts that never came. */
  closeForgotten(): void {
    const { store, board, clock } = this.#by;
    const now = clock.now();
    for (const head of store.runs.withStatus('verifying')) {
      if (Date.parse(head.endedAt ?? head.updatedAt) > now - verdictPatienceMs) continue;
      this.#change(head.id, { status: head.end ?? 'unknown', reason: 'no verdict came within a day' });
      store.runs.close(head.id, now);
      board.run(head.id);
    }
  }

  #change(id: string, change: Partial<RunHead>): void {
    const { store, clock } = this.#by;
    const head = store.runs.head(id);
    if (head === undefined) return;
    const reason = change.reason?.slice(0, 4_000);
    store.runs.saveHead({
      ...head,
      ...change,
      ...(reason !== undefined && { reason }),
      updatedAt: toInstant(clock.now()),
    });
  }

  #count(end: string): void {
    this.#by.metrics.count('runs_total', 'Runs by how their commands ended.', { labels: { end } });
  }
}
