import { join } from 'node:path';
import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import type { Signer } from '#bus/keys.ts';
import type { Approval } from '#bus/messages/approval.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import { distrustIn, distrustText } from '#agents/runtime/trust.ts';
import type { Desk } from '../desk.ts';
import { isSilenced } from '../notify/notify.ts';
import { showRequest } from '../present.ts';
import { obstacleOf, setObstacle } from './obstacle.ts';
import { within } from '../within.ts';

/** An approval that waits for so long makes triage ask why. */
const patienceMs = 5_000;
const askEveryMs = 15_000;
const answerMs = 10_000;

interface WorkerWatchOptions {
  desk: Desk;
  bus: Bus;
  clock: Clock;
  signer: Signer;
  keysFolder: string;
}

/** Finds out why an approval has no effect: the worker drops one that it cannot believe without a word. */
export function createWorkerWatch(options: WorkerWatchOptions): { look(): void; stop(): Promise<void> } {
  const { desk, clock } = options;
  const stopping = new AbortController();
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | undefined;
  async function ask(): Promise<void> {
    const obstacle = await whyNot(options, stopping.signal);
    if (!stopping.signal.aborted) desk.transact(() => keep(desk, obstacle));
  }
  return {
    look() {
      const waiting = desk.store.plans.waitingApprovals();
      // What was wrong then says nothing of the next approval.
      if (waiting.length === 0 && obstacleOf(desk) !== undefined) setObstacle(desk, undefined);
      const isLate = waiting.some(({ decidedAt }) => Date.parse(decidedAt) <= desk.now - patienceMs);
      if (!isLate || asking !== undefined || clock.now() - askedAt < askEveryMs) return;
      askedAt = clock.now();
      asking = ask().finally(() => {
        asking = undefined;
      });
    },
    async stop() {
      stopping.abort(new Failure('Stopped', { recoverable: true }));
      await asking;
    },
  };
}

async function whyNot(options: WorkerWatchOptions, signal: AbortSignal): Promise<string | undefined> {
  const { bus, clock, signer, keysFolder } = options;
  if (!bus.connected) return 'triage has no connection to the bus';
  const limit = { clock, ms: answerMs, late: 'the worker does not answer', signal };
  try {
    const answer = await within(limit, (ending) => bus.request('signers', {}, ending));
    const ours = { name: 'triage', keyId: signer.keyId, file: join(keysFolder, 'triage.pub') } as const;
    const distrust = distrustIn(answer, ours);
    return distrust && distrustText(distrust);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // An answer that says no is an answer.
    return error.recoverable ? 'the worker does not answer' : undefined;
  }
}

function keep(desk: Desk, obstacle: string | undefined): void {
  if (obstacleOf(desk) === obstacle) return;
  setObstacle(desk, obstacle);
  if (obstacle !== undefined) desk.log.warn({ obstacle }, 'an approval is not taken');
  for (const approval of desk.store.plans.waitingApprovals()) redraw(desk, approval);
}

function redraw(desk: Desk, { plan }: Approval): string | undefined {
  const incident = desk.store.plans.plan(plan)?.incident;
  if (incident !== undefined && desk.world.incident(incident) !== undefined) {
    desk.dirty.add(incident);
    return incident;
  }
  showRequest(desk, plan);
  return undefined;
}

/** An approval whose time went by: people are told, and the plan may be decided anew. Call at each tick. */
export function tellUnheard(desk: Desk): void {
  for (const approval of desk.store.plans.takeUnheard(desk.now)) {
    const word = approval.decision === 'approve' ? 'approval' : 'rejection';
    const why = obstacleOf(desk) ?? 'nothing is known of why';
    const id = redraw(desk, approval);
    if (id !== undefined) {
      desk.change(id, {
        type: 'noted',
        text: `The worker never took the ${word} of ${approval.name}: ${why.split('\n')[0]}`,
      });
    }
    const incident = id === undefined ? undefined : desk.world.incident(id);
    const title = incident?.title ?? desk.store.plans.plan(approval.plan)?.title ?? approval.plan;
    const silent = incident !== undefined && isSilenced(incident, desk.config.triage, desk.now);
    const text = `Not run: ${title}\nThe worker never took the ${word} of ${approval.name}: ${why}\nIt can be decided again; a plan runs at most once.`;
    desk.journal('approval-unheard', approval.plan, { approval: approval.id, by: approval.approver, why });
    desk.outbox.notice(`unheard:${approval.id}`, { type: 'notice', text, silent });
  }
}
