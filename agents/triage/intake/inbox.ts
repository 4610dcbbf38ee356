import { Failure, messageOf } from '#bus/failure.ts';
import { Finding } from '#bus/messages/finding.ts';
import { Manifest } from '#bus/messages/manifest.ts';
import { Plan } from '#bus/messages/plan.ts';
import { Run } from '#bus/messages/run.ts';
import { Verdict } from '#bus/messages/verdict.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Desk } from '../desk.ts';
import { takeFinding, takeManifest } from './findings.ts';
import { takePlan, takeRun, takeVerdict } from '../plans/plans.ts';
import type { InboxRow } from '../store/inbox.ts';

type InboxKind = 'finding' | 'manifest' | 'plan' | 'run' | 'verdict';

/**
 * Listeners store and return; the desk handles what was stored in batches, each batch one transaction. A message that
 * was stored is handled exactly once: its row goes in the transaction that holds its effects.
 */
export interface Inbox {
  /** Stores a message. Throws a recoverable Failure when the disk refuses it: then the bus keeps it. */
  store(kind: InboxKind, message: object): void;
  /** Handles everything that waits, now. */
  drain(): void;
  start(): void;
  stop(): void;
}

const batchSize = 1_000;
/** Waiting a little makes batches out of floods; and no more than a third of the time goes into handling them. */
const shortestWaitMs = 5;
const longestWaitMs = 1_000;
const retryMs = 5_000;

export function createInbox(desk: Desk, clock: Clock): Inbox {
  let cancel: (() => void) | undefined;
  let isStopped = true;
  /** A message that comes alone waits for nothing; in a flood each batch is followed by a rest twice as long. */
  let restUntil = 0;
  function arm(waitMs: number): void {
    if (isStopped || cancel !== undefined) return;
    cancel = clock.after(waitMs, () => {
      cancel = undefined;
      pump();
    });
  }
  function pump(): void {
    if (isStopped) return;
    const began = clock.now();
    try {
      const handled = handleBatch(desk);
      restUntil = clock.now() + 2 * (clock.now() - began);
      if (handled === batchSize) arm(0);
      else if (desk.store.inbox.length() > 0) arm(waitMs());
    } catch (error) {
      // A full disk: nothing was taken from the inbox, and nothing more is acknowledged to the broker.
      desk.log.error({ reason: messageOf(error) }, 'the inbox cannot be handled yet');
      arm(retryMs);
    }
  }
  const waitMs = (): number => Math.min(longestWaitMs, Math.max(shortestWaitMs, restUntil - clock.now()));
  return {
    store(kind, message) {
      desk.store.inbox.add(kind, message, clock.now());
      arm(waitMs());
    },
    drain() {
      while (handleBatch(desk) > 0);
    },
    start() {
      isStopped = false;
      arm(0);
    },
    stop() {
      isStopped = true;
      cancel?.();
      cancel = undefined;
    },
  };
}

function handleBatch(desk: Desk): number {
  const batch = desk.store.inbox.next(batchSize);
  if (batch.length === 0) return 0;
  try {
    desk.transact(() => {
      for (const row of batch) take(desk, row);
    });
  } catch (error) {
    if (error instanceof Failure) throw error;
    handleOneByOne(desk, batch);
  }
  return batch.length;
}

/** A bug in handling one message must not hold up the others: it is set aside with its error. */
function handleOneByOne(desk: Desk, batch: readonly InboxRow[]): void {
  for (const row of batch) {
    try {
      desk.transact(() => take(desk, row));
    } catch (error) {
      if (error instanceof Failure) throw error;
      desk.log.error({ err: error, kind: row.kind, seq: row.seq }, 'a message was set aside');
      desk.store.inbox.park(row, messageOf(error));
    }
  }
}

function take(desk: Desk, row: InboxRow): void {
  switch (row.kind) {
    case 'finding':
      takeFinding(desk, Finding.parse(row.body));
      break;
    case 'manifest':
      takeManifest(desk, Manifest.parse(row.body));
      break;
    case 'plan':
      takePlan(desk, Plan.parse(row.body));
      break;
    case 'run':
      takeRun(desk, Run.parse(row.body));
      break;
    case 'verdict':
      takeVerdict(desk, Verdict.parse(row.body));
      break;
    default:
      throw new TypeError(`Cannot handle a stored "${row.kind}"`);
  }
  desk.store.inbox.remove(row);
}
