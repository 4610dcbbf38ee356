import type { Plan, PlannedHost, PlannedStep } from '#bus/messages/plan.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { type Board, plannedStep } from './board.ts';
import { type Leftovers, leftovers } from './leftovers.ts';
import type { Reach } from './reach.ts';
import type { Runs } from './runs.ts';
import type { RemediationStore } from './store.ts';
import type { RunHead, StepRow } from './store/runs.ts';

export interface RecoveryContext {
  store: RemediationStore;
  board: Board;
  runs: Runs;
  reach: Reach;
  clock: Clock;
}

const interrupted = 'the worker stopped while it ran';

/**
 * What an earlier process left behind. A run that was claimed and never began is refused; one whose commands may have
 * left is `unknown`: it is never repeated, and its hosts stay locked until `watch` or a person knows better.
 */
export function recoverRuns({ store, runs, clock, board }: RecoveryContext): void {
  const left = (...statuses: RunHead['status'][]): RunHead[] =>
    store.runs.withStatus(...statuses).filter(({ id }) => !runs.isActive(id));
  for (const head of left('queued')) runs.refuse(head.id, 'the worker was stopped before it began');
  for (const head of left('started')) {
    const now = clock.now();
    store.rows.transaction(() => {
      for (const row of store.runs.steps(head.id)) store.runs.saveStep(head.id, interruptedStep(row, now));
      const at = toInstant(now);
      store.runs.saveHead({
        ...head,
        status: 'unknown',
        end: 'unknown',
        reason: interrupted,
        endedAt: at,
        updatedAt: at,
      });
      store.runs.end(head.id, now);
      store.journal.append({ at: now, kind: 'run', subject: head.id, body: { end: 'unknown', reason: interrupted } });
    });
    board.run(head.id);
    runs.verify(head.id);
  }
  // A crash between the end of the commands and asking for the verdict.
  for (const head of left('succeeded', 'failed', 'timed-out', 'unknown', 'rolled-back')) {
    if (!store.runs.isClosed(head.id)) runs.verify(head.id);
  }
}

function interruptedStep(row: StepRow, now: number): StepRow {
  switch (row.status) {
    case 'running':
      return { ...row, status: 'unknown', output: interrupted, endedAt: now };
    case 'waiting':
      return { ...row, status: 'skipped', output: interrupted };
    case 'succeeded':
    case 'failed':
    case 'timed-out':
    case 'unknown':
    case 'skipped':
      return row;
  }
}

/**
 * Looks, and only looks, at the hosts of runs whose end is not certain, and frees them when nothing of the run is there
 * any more.
 */
export async function watchUnknown(by: RecoveryContext, signal: AbortSignal): Promise<void> {
  for (const head of by.store.runs.locked()) {
    if (by.runs.isActive(head.id)) continue;
    const plan = by.store.plans.plan(head.plan)?.plan;
    const found = await Promise.all(
      uncertain(by.store, head, plan).map((one) => leftovers(one.step, one.host, { ...by, signal, mode: 'look' })),
    );
    // A person may have released it while the hosts were asked.
    if (by.store.runs.lockOf(head.hosts[0] ?? '') !== head.id) continue;
    if (found.every(({ left }) => left === 'none')) release(by, head.id, 'nothing of it runs on its hosts any more');
    else tell(by, head, found);
  }
}

/** Frees the hosts of a run: by proof, or because a person says so. False when it holds none. */
export function release(by: Pick<RecoveryContext, 'store' | 'clock' | 'board'>, run: string, why: string): boolean {
  const { store, clock, board } = by;
  const head = store.runs.locked().find(({ id }) => id === run);
  if (head === undefined) return false;
  const now = clock.now();
  store.rows.transaction(() => {
    store.runs.unlock(run);
    store.runs.saveHead({ ...head, reason: joined(head.reason, why), updatedAt: toInstant(now) });
    store.journal.append({ at: now, kind: 'release', subject: run, body: { why } });
  });
  board.run(run);
  return true;
}

function uncertain(
  store: RemediationStore,
  head: RunHead,
  plan: Plan | undefined,
): { step: PlannedStep; host: PlannedHost }[] {
  return store.runs.steps(head.id).flatMap((row) => {
    const step = row.status === 'unknown' ? plannedStep(row, plan) : undefined;
    const host = plan?.body?.hosts.find(({ host: name }) => name === step?.host);
    return step === undefined || host === undefined ? [] : [{ step, host }];
  });
}

function tell({ store, clock, board }: RecoveryContext, head: RunHead, found: readonly Leftovers[]): void {
  const still = found.flatMap((one) =>
    one.left === 'some' ? one.processes : one.left === 'unknown' ? [one.reason] : [],
  );
  const advice = `when you have looked there yourself: lares release ${head.id}`;
  // The advice last and always: what the hosts said is cut instead.
  const reason = joined(
    interruptedOr(head.reason),
    `still not certain: ${still.join('; ').slice(0, 3_000)}; ${advice}`,
  );
  const now = store.runs.head(head.id);
  if (now === undefined || now.reason === reason) return;
  store.runs.saveHead({ ...now, reason, updatedAt: toInstant(clock.now()) });
  board.run(head.id);
}

function interruptedOr(reason: string | undefined): string {
  return (reason ?? interrupted).split('; still not certain: ')[0] ?? interrupted;
}

function joined(reason: string | undefined, why: string): string {
  return `${interruptedOr(reason)}; ${why}`.slice(0, 4_000);
}
