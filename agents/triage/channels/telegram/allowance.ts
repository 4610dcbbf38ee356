/** So many times per key and window. It remembers a bounded number of keys, so that strangers cannot fill the memory. */
export class Allowance {
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #taken = new Map<string, { since: number; count: number }>();

  constructor(limit: number, windowMs: number) {
    this.#limit = limit;
    this.#windowMs = windowMs;
  }

  take(key: string, now: number): boolean {
    const known = this.#taken.get(key);
    const entry = known === undefined || now - known.since >= this.#windowMs ? { since: now, count: 0 } : known;
    entry.count += 1;
    this.#taken.delete(key);
    this.#taken.set(key, entry);
    const oldest = this.#taken.keys().next().value;
    if (this.#taken.size > 1_000 && oldest !== undefined) this.#taken.delete(oldest);
    return entry.count <= this.#limit;
  }
}
