import { setImmediate as nextTurn, setTimeout as rest } from 'node:timers/promises';
import { type Clock, sleepOn } from '#agents/runtime/clock.ts';

/** Time that moves only when told, for tests where minutes matter. */
export interface VirtualClock extends Clock {
  /** Moves on by `ms`, runs what falls due in order, and lets real I/O settle between two timers. */
  advance(ms: number): Promise<void>;
  /** Moves on to an instant (epoch ms); one that has passed only settles. */
  advanceTo(ms: number): Promise<void>;
  /** Sets the time back, as a person or NTP does; what waits goes on waiting for as long as it had to. */
  setBack(ms: number): void;
  /** Timers that wait. */
  pending(): number;
}

interface Timer {
  due: number;
  order: number;
  callback: () => void | Promise<void>;
}

/** Turns of the event loop after each timer: enough for a loopback round trip and the promises behind it. */
const settleTurns = 10;

interface VirtualClockOptions {
  /** Whether work is under way that takes real time, such as a look over the network: no virtual time passes meanwhile. */
  isBusy?: () => boolean;
  /** Longest real time that it holds up the next timer, for which it may itself be waiting. Default 3 s. */
  patienceMs?: number;
}

export function createVirtualClock(
  startMs: number,
  { isBusy = () => false, patienceMs = 3_000 }: VirtualClockOptions = {},
): VirtualClock {
  const timers = new Set<Timer>();
  let now = startMs;
  let order = 0;
  let backMs = 0;
  let moving: Promise<void> = Promise.resolve();

  function after(ms: number, callback: Timer['callback']): () => void {
    order += 1;
    const timer = { due: now + Math.max(0, ms), order, callback };
    timers.add(timer);
    return () => void timers.delete(timer);
  }

  async function moveTo(target: number): Promise<void> {
    await settle({ isBusy, patienceMs });
    for (let timer = earliest(timers, target); timer !== undefined; timer = earliest(timers, target)) {
      timers.delete(timer);
      now = Math.max(now, timer.due);
      void timer.callback();
      await settle({ isBusy, patienceMs });
    }
    now = Math.max(now, target);
  }

  /** One move at a time: the next begins where the last ended. */
  function move(targetOf: () => number): Promise<void> {
    const turn = moving.then(() => moveTo(targetOf()));
    moving = turn.catch(() => undefined);
    return turn;
  }

  return {
    now: () => now - backMs,
    after,
    sleep: (ms, signal) => sleepOn({ after }, ms, signal),
    advance: (ms) => move(() => now + ms),
    advanceTo: (ms) => move(() => ms + backMs),
    setBack: (ms) => void (backMs += ms),
    pending: () => timers.size,
  };
}

function earliest(timers: ReadonlySet<Timer>, target: number): Timer | undefined {
  let found: Timer | undefined;
  for (const timer of timers) {
    if (timer.due > target) continue;
    if (found === undefined || timer.due < found.due || (timer.due === found.due && timer.order < found.order)) {
      found = timer;
    }
  }
  return found;
}

async function settle({ isBusy, patienceMs }: Required<VirtualClockOptions>): Promise<void> {
  const waitedSince = performance.now();
  do {
    while (isBusy() && performance.now() - waitedSince < patienceMs) await pause(waitedSince);
    for (let turn = 0; turn < settleTurns; turn += 1) await nextTurn();
  } while (isBusy() && performance.now() - waitedSince < patienceMs);
}

/** What is quick is waited for without a timer; the rest leaves the processor to whom it waits for. */
async function pause(since: number): Promise<void> {
  await (performance.now() - since < 5 ? nextTurn() : rest(1));
}
