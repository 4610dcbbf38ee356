import { Failure, messageOf } from '#bus/failure.ts';
import { Finding } from '#bus/messages/finding.ts';
import { Manifest } from '#bus/messages/manifest.ts';
import { Plan } from '#bus/messages/plan.ts';
import { Run } from '#bus/messages/run.ts';
import { Verdict } from '#bus/messages/verdict.ts';
import { type Clock, hasElapsed } from '#agents/runtime/clock.ts';
import type { Desk } from '../desk.ts';
import { takeFinding, takeManifest } from './findings.ts';
import { takePlan, takeRun, takeVerdict } from '../plans/plans.ts';
import type { InboxRow } from '../store/inbox.ts';

export type InboxMessage =
  | { kind: 'finding'; body: Finding }
  | { kind: 'manifest'; body: Manifest }
  | { kind: 'plan'; body: Plan }
  | { kind: 'run'; body: Run }
  | { kind: 'verdict'; body: Verdict };

/**
 * What comes in during one turn of the event loop shares one transaction: of its effects when there is time to handle it
 * now, else of its rows, which the desk handles in batches. A row goes in the transaction that holds its effects, so a
 * message that was stored is handled exactly once.
 */
export interface Inbox {
  /**
   * Resolves when the message, or what it changed, is on the disk. Rejects with a recoverable Failure when the disk
   * refuses it: then the bus keeps it.
   */
  store(message: InboxMessage): Promise<void>;
  /** Handles everything that waits, now. */
  drain(): void;
  start(): void;
  stop(): void;
}

interface Arrived {
  message: InboxMessage;
  stored: PromiseWithResolvers<void>;
}

/** More than this in one turn is a flood: stored first, because storing is quick and the sender waits. */
const few = 8;
/** Twice as many take a quarter less time in all, and hold up everything else twice as long. */
const batchSize = 200;
/** Of the time of a flood no more than a third goes into handling it: each batch is followed by a rest twice as long. */
const restShare = 2;
const longestRestMs = 1_000;
const retryMs = 5_000;

export function createInbox(desk: Desk, clock: Clock): Inbox {
  const pump = createPump(desk, clock);
  let arrived: Arrived[] = [];
  let flushing: NodeJS.Immediate | undefined;
  function flush(): void {
    clearImmediate(flushing);
    flushing = undefined;
    const batch = arrived;
    arrived = [];
    if (batch.length === 0) return;
    try {
      pump.take(batch.map(({ message }) => message));
    } catch (error) {
      for (const { stored } of batch) stored.reject(error);
      return;
    }
    for (const { stored } of batch) stored.resolve();
  }
  return {
    store(message) {
      const stored = Promise.withResolvers<void>();
      arrived.push({ message, stored });
      flushing ??= setImmediate(flush);
      return stored.promise;
    },
    drain() {
      while (handleBatch(desk) > 0);
    },
    start: () => pump.start(),
    stop() {
      pump.stop();
      flush();
    },
  };
}

interface Pump {
  /** Handles the messages or stores them. */
  take(messages: readonly InboxMessage[]): void;
  start(): void;
  stop(): void;
}

function createPump(desk: Desk, clock: Clock): Pump {
  let cancel: (() => void) | undefined;
  let isStopped = true;
  let rest = { since: clock.now(), ms: 0 };
  function arm(waitMs: number): void {
    if (isStopped || cancel !== undefined) return;
    cancel = clock.after(waitMs, () => {
      cancel = undefined;
      pump();
    });
  }
  function restMs(): number {
    const now = clock.now();
    return hasElapsed(rest.ms, { since: rest.since, now }) ? 0 : rest.since + rest.ms - now;
  }
  function pump(): void {
    if (isStopped) return;
    const began = clock.now();
    try {
      handleBatch(desk);
      const now = clock.now();
      rest = { since: now, ms: Math.min(longestRestMs, restShare * (now - began)) };
      if (!desk.store.inbox.isEmpty()) arm(restMs());
    } catch (error) {
      // A full disk: nothing was taken from the inbox, and nothing more is acknowledged to the broker.
      desk.log.error({ reason: messageOf(error) }, 'the inbox cannot be handled yet');
      arm(retryMs);
    }
  }
  function mayHandle(messages: readonly InboxMessage[]): boolean {
    return !isStopped && messages.length <= few && restMs() === 0 && desk.store.inbox.isEmpty();
  }
  return {
    take(messages) {
      if (mayHandle(messages) && handled(desk, messages)) return;
      desk.store.inbox.add(messages, clock.now());
      arm(restMs());
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

/** False when handling one of them is a bug, and nothing happened: stored as rows, that one is set aside. */
function handled(desk: Desk, messages: readonly InboxMessage[]): boolean {
  try {
    desk.transact(() => {
      for (const message of messages) take(desk, message);
    });
    return true;
  } catch (error) {
    if (error instanceof Failure) throw error;
    return false;
  }
}

function handleBatch(desk: Desk): number {
  const batch = desk.store.inbox.next(batchSize);
  if (batch.length === 0) return 0;
  try {
    desk.transact(() => {
      for (const row of batch) takeRow(desk, row);
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
      desk.transact(() => takeRow(desk, row));
    } catch (error) {
      if (error instanceof Failure) throw error;
      desk.log.error({ err: error, kind: row.kind, seq: row.seq }, 'a message was set aside');
      desk.store.inbox.park(row, messageOf(error));
    }
  }
}

function takeRow(desk: Desk, row: InboxRow): void {
  take(desk, messageIn(row));
  desk.store.inbox.remove(row);
}

function messageIn({ kind, body }: InboxRow): InboxMessage {
  switch (kind) {
    case 'finding':
      return { kind, body: Finding.parse(body) };
    case 'manifest':
      return { kind, body: Manifest.parse(body) };
    case 'plan':
      return { kind, body: Plan.parse(body) };
    case 'run':
      return { kind, body: Run.parse(body) };
    case 'verdict':
      return { kind, body: Verdict.parse(body) };
    default:
      throw new TypeError(`Cannot handle a stored "${kind}"`);
  }
}

function take(desk: Desk, { kind, body }: InboxMessage): void {
  switch (kind) {
    case 'finding':
      return takeFinding(desk, body);
    case 'manifest':
      return takeManifest(desk, body);
    case 'plan':
      return takePlan(desk, body);
    case 'run':
      return takeRun(desk, body);
    case 'verdict':
      return takeVerdict(desk, body);
  }
}
