import type { Clock } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import { safeLine } from './words.ts';

/** The same complaint about the same source is written once in so long a time, with how often it came up. */
const restMs = 3_600_000;
const maximumKinds = 1_000;

/** The newest complaint about a source. */
export interface Complaint {
  at: number;
  text: string;
  /** How many there were of all sorts. */
  count: number;
}

/** Tells the log what is wrong with what comes in, and never lets a sender fill it. */
export class Complaints {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #told = new Map<string, { at: number; since: number }>();
  readonly #last = new Map<string, Complaint>();

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Since the start; undefined when there was none. */
  lastOf(intake: string): Complaint | undefined {
    return this.#last.get(intake);
  }

  /** The world has mended it: it is the last word about this source no more. */
  settle(intake: string, what: string): void {
    if (this.#last.get(intake)?.text.startsWith(what) === true) this.#last.delete(intake);
  }

  tell(intake: string, what: string, reason?: string): void {
    const key = `${intake}\0${what}`;
    const now = this.#clock.now();
    const text = reason === undefined ? what : `${what}: ${safeLine(reason, 300)}`;
    this.#last.set(intake, { at: now, text, count: (this.#last.get(intake)?.count ?? 0) + 1 });
    const told = this.#told.get(key);
    if (told !== undefined && now - told.at < restMs) {
      told.since += 1;
      return;
    }
    if (told === undefined && this.#told.size >= maximumKinds) return;
    this.#told.set(key, { at: now, since: 0 });
    const detail = {
      ...(reason !== undefined && { reason: safeLine(reason, 300) }),
      ...(told && { times: told.since + 1 }),
    };
    this.#log.warn({ intake, ...detail }, what);
  }
}
