import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import { type Plan, plan as planKind, type PlannedStep } from '#bus/messages/plan.ts';
import { type Run, run as runKind } from '#bus/messages/run.ts';
import { maximumMessageBytes } from '#bus/message.ts';
import { type Clock, toInstant } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import { commandLineOf } from '#agents/runtime/shell.ts';
import type { RemediationStore } from './store.ts';
import type { RunHead, StepRow } from './store/runs.ts';

/** Progress of many hosts at once is told in one message. A chat takes about one edit a second. */
const gatherMs = 1_000;
/** How long what is over stays readable for those who were away. */
const decidedPlanMs = 10 * 60_000;
const closedRunMs = 60_000;

/** What the bus shows of plans and runs: a view of the store, told again whenever the broker may have lost it. */
export class Board {
  readonly #bus: Bus;
  readonly #store: RemediationStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #gathering = new Map<string, () => void>();

  constructor(context: { bus: Bus; store: RemediationStore; clock: Clock; log: Log }) {
    this.#bus = context.bus;
    this.#store = context.store;
    this.#clock = context.clock;
    this.#log = context.log;
  }

  plan(id: string): void {
    const stored = this.#store.plans.plan(id);
    if (stored === undefined) return;
    this.#store.plans.markPublished(id);
    this.#bus.publish(planKind, stored.plan);
  }

  /** At once: for what people wait for. */
  run(id: string): void {
    this.#gathering.get(id)?.();
    this.#gathering.delete(id);
    const head = this.#store.runs.head(id);
    if (head === undefined) return;
    this.#store.runs.markPublished(id);
    this.#bus.publish(runKind, this.#assembled(head));
  }

  /** Soon, together with what else happens meanwhile. */
  progress(id: string): void {
    if (this.#gathering.has(id)) return;
    this.#gathering.set(
      id,
      this.#clock.after(gatherMs, () => {
        this.#gathering.delete(id);
        this.#tryRun(id);
      }),
    );
  }

  /** Nobody waits for it, and how the run ended is told in any case. */
  #tryRun(id: string): void {
    try {
      this.run(id);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#log.error({ run: id, reason: error.message }, 'progress of a run was not told');
    }
  }

  /** An approval that a guard refused. The plan stays as it is. */
  refusal(run: Run): void {
    this.#bus.publish(runKind, run);
  }

  /** What followed from an approval, for the sender who has not seen it. */
  effectOf(plan: string): void {
    const head = this.#store.runs.runOfPlan(plan);
    if (head !== undefined) this.run(head.id);
    for (const refusal of this.#store.guards.refusals()) if (refusal.plan === plan) this.refusal(refusal);
    this.plan(plan);
  }

  /** Everything that the broker should hold. */
  all(): void {
    for (const plan of this.#store.plans.published()) this.#bus.publish(planKind, plan);
    for (const head of this.#store.runs.published()) this.#bus.publish(runKind, this.#assembled(head));
    for (const refusal of this.#store.guards.refusals()) this.#bus.publish(runKind, refusal);
  }

  /** Asks sentinel again for the verdicts that are missing. */
  askAgain(): void {
    for (const head of this.#store.runs.withStatus('verifying')) this.run(head.id);
  }

  /** Clears what has been over for long enough. Waits for a connection: a clear that nobody hears would be lost. */
  sweep(): void {
    if (!this.#bus.connected) return;
    const now = this.#clock.now();
    const { plans, runs, guards } = this.#store;
    for (const id of plans.overdue(now - decidedPlanMs)) {
      this.#bus.clear(planKind, id);
      plans.markCleared(id);
    }
    for (const id of runs.overdue(now - closedRunMs)) {
      this.#bus.clear(runKind, id);
      runs.markCleared(id);
    }
    for (const id of guards.overdueRefusals(now - decidedPlanMs)) {
      this.#bus.clear(runKind, id);
      guards.dropRefusal(id);
    }
  }

  stop(): void {
    for (const cancel of this.#gathering.values()) cancel();
    this.#gathering.clear();
  }

  #assembled(head: RunHead): Run {
    const plan = this.#store.plans.plan(head.plan)?.plan;
    const rows = this.#store.runs.steps(head.id);
    return fitted({ ...head, updatedAt: newest(head, rows), steps: rows.flatMap((row) => stepOf(row, plan)) });
  }
}

/** A step that goes on is news of its run. */
function newest(head: RunHead, rows: readonly StepRow[]): string {
  const times = rows.flatMap(({ startedAt = 0, endedAt = 0 }) => [startedAt, endedAt]);
  return toInstant(Math.max(Date.parse(head.updatedAt), ...times));
}

/** The planned step that a row is about. */
export function plannedStep(row: Pick<StepRow, 'phase' | 'step'>, plan: Plan | undefined): PlannedStep | undefined {
  return plan?.body?.[row.phase][row.step];
}

function stepOf(row: StepRow, plan: Plan | undefined): Run['steps'] {
  const step = plannedStep(row, plan);
  if (step === undefined) return [];
  return [
    {
      id: row.phase === 'rollback' ? `rollback.${step.id}`.slice(0, 128) : step.id,
      host: step.host,
      command: commandLineOf(step.argv).slice(0, 4_000),
      status: row.status,
      ...(row.exitStatus !== undefined && { exitStatus: row.exitStatus }),
      ...(row.output !== undefined && { output: row.output }),
      ...(row.startedAt !== undefined && { startedAt: toInstant(row.startedAt) }),
      ...(row.endedAt !== undefined && { endedAt: toInstant(row.endedAt) }),
    },
  ];
}

/** Cuts outputs and commands until the message fits: the end of an output says how it ended. */
function fitted(run: Run): Run {
  for (const limit of [4_000, 1_000, 200, 60]) {
    const cut = {
      ...run,
      steps: run.steps.map((step) => ({
        ...step,
        command: step.command.slice(0, limit),
        ...(step.output !== undefined && { output: step.output.slice(-limit) }),
      })),
    };
    if (Buffer.byteLength(JSON.stringify(cut)) < maximumMessageBytes - 4_096) return cut;
  }
  return { ...run, steps: run.steps.map((step) => ({ ...step, command: '', output: '' })) };
}
