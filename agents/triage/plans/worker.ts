import { join } from 'node:path';
import type { Bus } from '#bus/bus.ts';
import type { Signer } from '#bus/keys.ts';
import { hasElapsed } from '#agents/runtime/clock.ts';
import { distrustIn, distrustText } from '#agents/runtime/trust.ts';
import type { Asking, Reply } from '../asking.ts';
import type { Desk } from '../desk.ts';
import { redraw } from '../present.ts';
import { obstacleOf, setObstacle } from './obstacle.ts';

/** An approval that waits for so long makes triage ask why. */
const patienceMs = 5_000;
/** Longer than an answer may take, so that no question overlaps another. */
const askEveryMs = 15_000;
const answerMs = 10_000;

interface WorkerWatchOptions {
  desk: Desk;
  bus: Pick<Bus, 'connected'>;
  asking: Asking;
  signer: Signer;
  keysFolder: string;
}

/** Finds out why an approval has no effect: the worker drops one that it cannot believe without a word. */
export function createWorkerWatch(options: WorkerWatchOptions): { look(): void } {
  const { desk, bus, asking } = options;
  let askedAt = Number.NEGATIVE_INFINITY;
  return {
    look() {
      const waiting = desk.store.plans.waitingApprovals();
      // What was wrong then says nothing of the next approval.
      if (waiting.length === 0 && obstacleOf(desk) !== undefined) setObstacle(desk, undefined);
      const isLate = waiting.some(({ decidedAt }) => Date.parse(decidedAt) <= desk.now - patienceMs);
      if (!isLate || !hasElapsed(askEveryMs, { since: askedAt, now: desk.now })) return;
      askedAt = desk.now;
      if (!bus.connected) return desk.transact(() => keep(desk, 'triage has no connection to the bus'));
      const question = { verb: 'signers', data: {}, ms: answerMs, late: silent };
      asking.ask(question, (reply) => keep(desk, obstacleIn(reply, options)));
    },
  };
}

const silent = 'the worker does not answer';

function obstacleIn(reply: Reply, { signer, keysFolder }: WorkerWatchOptions): string | undefined {
  // An answer that says no is an answer.
  if (!reply.ok) return reply.failure.recoverable ? silent : undefined;
  const ours = { name: 'triage', keyId: signer.keyId, file: join(keysFolder, 'triage.pub') } as const;
  const distrust = distrustIn(reply.data, ours);
  return distrust && distrustText(distrust);
}

function keep(desk: Desk, obstacle: string | undefined): void {
  if (obstacleOf(desk) === obstacle) return;
  setObstacle(desk, obstacle);
  if (obstacle !== undefined) desk.log.warn({ obstacle }, 'an approval is not taken');
  for (const { plan } of desk.store.plans.waitingApprovals()) {
    redraw(desk, { id: plan, incident: desk.store.plans.plan(plan)?.incident });
  }
}
