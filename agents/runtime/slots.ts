/** At most `limit` holders at once; the others wait in order. */
export class Slots {
  #limit: number;
  #held = 0;
  #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get held(): number {
    return this.#held;
  }

  /** Lowers the limit; those who hold a slot keep it. */
  lowerTo(limit: number): void {
    this.#limit = Math.max(1, Math.min(this.#limit, limit));
  }

  /** Resolves with the function that gives the slot back. Rejects with the signal's reason when it aborts first. */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#held >= this.#limit) await this.#wait(signal);
    else this.#held += 1;
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#give();
    };
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => {
      this.#waiting = this.#waiting.filter((waiter) => waiter !== resolve);
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
    this.#waiting.push(resolve);
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  #give(): void {
    // The slot passes on to the next in line without being free in between.
    const next = this.#held <= this.#limit ? this.#waiting.shift() : undefined;
    if (next === undefined) this.#held -= 1;
    else next();
  }
}
