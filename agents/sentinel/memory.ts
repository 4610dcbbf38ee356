import { Failure } from '#bus/failure.ts';
import type { CheckMemory } from './check.ts';

/** What one check may keep, as JSON. */
const maximumBytes = 65_536;

/** The memory of all checks: loaded once, written with the look that changed it. */
export class Memories {
  readonly #stored: Map<string, string>;
  readonly #open = new Map<string, Map<string, unknown>>();

  constructor(stored: Map<string, string>) {
    this.#stored = stored;
  }

  /** A check's memory for one look, and its text when the look changed it. */
  openFor(check: string): { memory: CheckMemory; changed(): string | undefined } {
    const values = this.#values(check);
    let isDirty = false;
    return {
      memory: {
        get: (key) => values.get(key),
        set(key, value) {
          values.set(key, value);
          isDirty = true;
        },
      },
      changed: () => (isDirty ? this.#textOf(check, values) : undefined),
    };
  }

  #values(check: string): Map<string, unknown> {
    const known = this.#open.get(check);
    if (known !== undefined) return known;
    const text = this.#stored.get(check);
    const values = new Map<string, unknown>(text === undefined ? [] : Object.entries(JSON.parse(text) as object));
    this.#open.set(check, values);
    return values;
  }

  #textOf(check: string, values: Map<string, unknown>): string | undefined {
    const text = JSON.stringify(Object.fromEntries(values));
    if (text === this.#stored.get(check)) return undefined;
    if (Buffer.byteLength(text) > maximumBytes) {
      throw new Failure(`Cannot keep the memory of check "${check}": it is larger than ${maximumBytes} bytes`, {
        recoverable: false,
      });
    }
    this.#stored.set(check, text);
    return text;
  }
}
