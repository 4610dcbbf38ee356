import type { Clock } from '#agents/runtime/clock.ts';
import { createRateLimit, type RateLimit } from '#agents/runtime/rate-limit.ts';

/** Each proposal and each dry run opens connections to hosts: so many at once, and so many a minute. */
const perMinute = 30;

export function createPace(clock: Clock): RateLimit {
  return createRateLimit({ perSecond: perMinute / 60, burst: perMinute, clock });
}

export function tooMany(what: string): string {
  return `more than ${perMinute} ${what} a minute; ask again in a minute`;
}
