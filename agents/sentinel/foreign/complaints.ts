import type { Clock } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import { safeLine } from './words.ts';

/** The same complaint about the same source is written once in so long a time, with how often it came up. */
const restMs = 3_600_000;
const maximumKinds = 1_000;

/** Tells the log what is wrong with what comes in, and never lets a sender fill it. */
export class Complaints {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #told = new Map<string, { at: number; since: number }>();

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  tell(intake: string, what: string, reason?: string): void {
    const key = `${intake}\0${what}`;
    const now = this.#clock.now();
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
