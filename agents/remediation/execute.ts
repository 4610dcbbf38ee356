import type { Plan, PlanBody, PlannedHost, PlannedStep } from '#bus/messages/plan.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import { commandLineOf } from '#agents/runtime/shell.ts';
import { Slots } from '#agents/runtime/slots.ts';
import { killAfterSeconds } from '#agents/runtime/guarded-command.ts';
import type { Board } from './board.ts';
import { Frozen, type FreezeGate } from './freeze-gate.ts';
import { complaint, lookAt } from './probe.ts';
import type { Reach } from './reach.ts';
import { type RawEnd, settleStep, type StepEnd } from './step-end.ts';
import type { RemediationStore } from './store.ts';
import type { StepRow } from './store/runs.ts';

export interface ExecutorContext {
  store: RemediationStore;
  reach: Reach;
  board: Board;
  freeze: FreezeGate;
  clock: Clock;
  /** Aborts when the worker stops: no further step begins. */
  stopping: AbortSignal;
}

interface RunLimits {
  concurrency: number;
  outputBytes: number;
}

/** How the commands of a run ended together. */
export interface RunEnd {
  end: 'succeeded' | 'failed' | 'timed-out' | 'unknown' | 'rolled-back';
  reason?: string;
  /** Whether any command left at all. */
  hasRun: boolean;
  /** Whether it is certain that nothing runs any more. */
  isOver: boolean;
}

/** The host's own `timeout` and its SIGKILL come first; after this the host counts as silent. */
const silenceMs = killAfterSeconds * 1_000 + 10_000;

/** Runs the commands of one plan, at most `concurrency` hosts at once, on each host in order. */
export class Execution {
  readonly #by: ExecutorContext;
  readonly #run: string;
  readonly #body: PlanBody;
  readonly #limits: RunLimits;
  readonly #ends: StepEnd[] = [];
  #positions = 0;
  /** Why no further step begins, once something went wrong. */
  #halt: string | undefined;

  constructor(by: ExecutorContext, of: { run: string; plan: Plan; body: PlanBody; limits: RunLimits }) {
    this.#by = by;
    this.#run = of.run;
    this.#body = of.body;
    this.#limits = of.limits;
  }

  /** Contract: every command has its intent on the disk before it leaves, and its end before the next one does. */
  async execute(): Promise<RunEnd> {
    await this.#phase('steps', this.#body.hosts);
    const ended = this.#outcome();
    if (ended.end === 'succeeded') return await this.#verified(ended);
    const isRollback = this.#body.rollback.length > 0 && ended.hasRun && ended.isOver && ended.end !== 'unknown';
    return isRollback && this.#interruption() === undefined ? await this.#rollBack(ended) : ended;
  }

  async #phase(phase: StepRow['phase'], hosts: readonly PlannedHost[]): Promise<void> {
    const names = new Set(hosts.map(({ host }) => host));
    const rows = this.#body[phase].flatMap(({ host }, step): StepRow[] => {
      if (!names.has(host)) return [];
      this.#positions += 1;
      return [{ position: this.#positions, phase, step, status: 'waiting' }];
    });
    this.#by.store.runs.addSteps(this.#run, rows);
    this.#by.board.run(this.#run);
    const slots = new Slots(this.#limits.concurrency);
    const never = new AbortController().signal;
    await Promise.all(
      hosts.map(async (host) => {
        const release = await slots.take(never);
        try {
          await this.#onHost(host, rows);
        } finally {
          release();
        }
      }),
    );
  }

  async #onHost(host: PlannedHost, rows: readonly StepRow[]): Promise<void> {
    for (const row of rows) {
      const step = this.#body[row.phase][row.step];
      if (step === undefined || step.host !== host.host) continue;
      this.#halt ??= this.#interruption();
      if (this.#halt === undefined) await this.#step({ row, step, host });
      else this.#save({ ...row, status: 'skipped', output: this.#halt });
    }
  }

  #interruption(): string | undefined {
    const { freeze, stopping } = this.#by;
    if (freeze.isFrozen) return `frozen by ${freeze.state?.by ?? 'somebody'}: ${freeze.state?.reason ?? ''}`;
    return stopping.aborted ? 'the worker was stopped' : undefined;
  }

  async #step({ row, step, host }: { row: StepRow; step: PlannedStep; host: PlannedHost }): Promise<void> {
    const { clock, store, reach } = this.#by;
    const startedAt = clock.now();
    const running: StepRow = { ...row, status: 'running', startedAt };
    const command = commandLineOf(step.argv);
    store.rows.transaction(() => {
      store.runs.saveStep(this.#run, running);
      store.journal.append({ at: startedAt, kind: 'intent', subject: this.#run, body: { host: host.host, command } });
    });
    this.#by.board.progress(this.#run);
    const end = await this.#command(step, host);
    const ended = await settleStep(
      { step, host, end, tookMs: clock.now() - startedAt },
      { reach, clock, signal: new AbortController().signal },
    );
    this.#ends.push(ended);
    if (ended.status !== 'succeeded') this.#halt ??= `step "${step.id}" on ${host.host}: ${ended.status}`;
    const { status, exitStatus, output } = ended;
    store.rows.transaction(() => {
      this.#save({ ...running, status, output, endedAt: clock.now(), ...(exitStatus !== undefined && { exitStatus }) });
      store.journal.append({
        at: clock.now(),
        kind: 'command',
        subject: this.#run,
        body: { host: host.host, command, status, exitStatus: exitStatus ?? null },
      });
    });
  }

  async #command(step: PlannedStep, host: PlannedHost): Promise<RawEnd> {
    const { signal } = this.#by.freeze;
    try {
      return await this.#by.reach.runner(host).run(step.argv, {
        timeoutMs: step.timeoutMs + silenceMs,
        signal,
        maximumOutputBytes: this.#limits.outputBytes,
      });
    } catch (error) {
      if (!(error instanceof Frozen)) throw error;
      return { end: 'stopped', reason: this.#interruption() ?? 'frozen' };
    }
  }

  #save(row: StepRow): void {
    this.#by.store.runs.saveStep(this.#run, row);
    this.#by.board.progress(this.#run);
  }

  #outcome(): RunEnd {
    const have = (status: StepEnd['status']): boolean => this.#ends.some((end) => end.status === status);
    const isOver = this.#ends.every((end) => end.isOver);
    const hasRun = this.#ends.some((end) => end.hasRun);
    const base = { isOver, hasRun, ...(this.#halt !== undefined && { reason: this.#halt }) };
    if (have('unknown')) return { ...base, end: 'unknown' };
    if (have('timed-out')) return { ...base, end: 'timed-out' };
    return { ...base, end: this.#halt === undefined ? 'succeeded' : 'failed' };
  }

  async #verified(ended: RunEnd): Promise<RunEnd> {
    const { reach } = this.#by;
    const signal = new AbortController().signal;
    const seen = await lookAt(this.#body.verification, this.#body.hosts, { reach, signal });
    const wrong = seen.find(({ holds }) => holds !== 'yes');
    if (wrong === undefined) return ended;
    const failed: RunEnd = { ...ended, end: 'failed', reason: `verification: ${complaint(wrong)}` };
    // What could not be looked at may well be in order: only what is known to be wrong is rolled back.
    const mayRollBack = wrong.holds === 'no' && this.#body.rollback.length > 0 && this.#interruption() === undefined;
    return mayRollBack ? await this.#rollBack(failed) : failed;
  }

  /** On the hosts where something ran. */
  async #rollBack(failed: RunEnd): Promise<RunEnd> {
    const touched = new Set(
      this.#by.store.runs
        .steps(this.#run)
        .filter(({ status }) => status !== 'skipped' && status !== 'waiting')
        .map(({ step }) => this.#body.steps[step]?.host),
    );
    this.#halt = undefined;
    this.#ends.length = 0;
    await this.#phase(
      'rollback',
      this.#body.hosts.filter(({ host }) => touched.has(host)),
    );
    const back = this.#outcome();
    const reason = `${failed.reason ?? 'failed'}; ${back.end === 'succeeded' ? 'rolled back' : `rollback: ${back.end}`}`;
    if (back.end === 'succeeded') return { ...failed, end: 'rolled-back', reason };
    return { end: back.end === 'unknown' ? 'unknown' : 'failed', reason, hasRun: true, isOver: back.isOver };
  }
}
