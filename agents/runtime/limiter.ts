import { Failure } from '#bus/failure.ts';

/** How much may happen at once. */
interface LimiterOptions {
  /** Pieces of work with the same key that run at once. */
  perKey: number;
  /** Pieces of work that run at once in all. */
  total: number;
  /** Pieces that may wait; one more is refused with a recoverable Failure. Default 10,000. */
  maximumWaiting?: number;
}

interface Lane {
  running: number;
  waiting: Set<() => void>;
}

/**
 * Bounded concurrency: waiting keys take turns, so one with much work does not hold up the others; within a key the
 * order is kept.
 */
export class Limiter {
  readonly #options: Required<LimiterOptions>;
  /** In the order of turns: the key that started work last stands last. */
  readonly #lanes = new Map<string, Lane>();
  #running = 0;
  #waiting = 0;

  constructor(options: LimiterOptions) {
    this.#options = { maximumWaiting: 10_000, ...options };
  }

  /** Runs `work` when it is its turn. Rejects with the signal's reason when that aborts the wait. */
  async run<T>(key: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#waiting >= this.#options.maximumWaiting) {
      throw new Failure(`Cannot queue more work for "${key}": ${this.#waiting} pieces wait already`, {
        recoverable: true,
      });
    }
    const lane = this.#lanes.get(key) ?? { running: 0, waiting: new Set() };
    this.#lanes.set(key, lane);
    await this.#enter(key, lane, signal);
    try {
      return await work();
    } finally {
      lane.running -= 1;
      this.#running -= 1;
      this.#forget(key, lane);
      this.#startNext();
    }
  }

  #enter(key: string, lane: Lane, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const start = (): void => {
      signal.removeEventListener('abort', giveUp);
      resolve();
    };
    const giveUp = (): void => {
      lane.waiting.delete(start);
      this.#waiting -= 1;
      this.#forget(key, lane);
      reject(signal.reason as Error);
    };
    lane.waiting.add(start);
    this.#waiting += 1;
    signal.addEventListener('abort', giveUp, { once: true });
    this.#startNext();
    return promise;
  }

  #startNext(): void {
    while (this.#running < this.#options.total) {
      const [key, lane] = nextLane(this.#lanes, this.#options.perKey) ?? [];
      const [start] = lane?.waiting ?? [];
      if (key === undefined || lane === undefined || start === undefined) return;
      this.#lanes.delete(key);
      this.#lanes.set(key, lane);
      lane.waiting.delete(start);
      lane.running += 1;
      this.#waiting -= 1;
      this.#running += 1;
      start();
    }
  }

  #forget(key: string, lane: Lane): void {
    if (lane.running === 0 && lane.waiting.size === 0) this.#lanes.delete(key);
  }
}

function nextLane(lanes: ReadonlyMap<string, Lane>, perKey: number): [string, Lane] | undefined {
  for (const entry of lanes) if (entry[1].waiting.size > 0 && entry[1].running < perKey) return entry;
  return undefined;
}
