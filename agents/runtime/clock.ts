/** Time as an argument: the real one in production, a virtual one where minutes matter in a test. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Resolves after `ms`. Rejects with the signal's reason when it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `ms`; the returned function cancels it. A callback may be async: it must not reject. */
  after(ms: number, callback: () => void | Promise<void>): () => void;
}

/** The longest delay a Node timer keeps; longer waits are cut into such pieces. */
const maximumTimerMs = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) => sleepOn(systemClock, ms, signal),
  after(ms, callback) {
    const due = Date.now() + ms;
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const left = due - Date.now();
      timer =
        left > maximumTimerMs ? setTimeout(arm, maximumTimerMs) : setTimeout(() => void callback(), Math.max(0, left));
    };
    arm();
    return () => clearTimeout(timer);
  },
};

/** `sleep` for a clock that has `after`. */
export function sleepOn(clock: Pick<Clock, 'after'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', abort);
      resolve();
    });
    function abort(): void {
      cancel();
      reject(signal?.reason as Error);
    }
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/**
 * Whether `ms` have gone by. True too when `since` is still to come: the clock was set back, and nothing may wait until
 * it has caught up.
 */
export function hasElapsed(ms: number, { since, now }: { since: number; now: number }): boolean {
  return now < since || now - since >= ms;
}

/** Epoch milliseconds as the wire writes them. */
export function toInstant(ms: number): string {
  return new Date(ms).toISOString();
}
