import { addDays, localTime } from '../local-time.ts';

interface DigestTimes {
  /** Time of day, `07:00`. */
  at: string;
  timeZone: string;
}

/** The last local day whose digest time has passed. A day whose clock skips that time is due when it went past it. */
export function lastDueDay(now: number, times: DigestTimes): string {
  const { day, time } = localTime(now, times.timeZone);
  return time >= times.at ? day : addDays(day, -1);
}

interface DueDigest {
  day: string;
  /** Days whose digest was never made: caught up by this one. */
  missed: string[];
}

const maximumMissed = 31;

/** The digest that is due, once, however many were missed; undefined when the last one was made. */
export function dueDigest(lastDay: string, now: number, times: DigestTimes): DueDigest | undefined {
  const day = lastDueDay(now, times);
  // A last day that is still to come was made by a clock that was ahead: no digest is put off for years.
  if (day <= lastDay && lastDay <= addDays(day, 1)) return undefined;
  const missed: string[] = [];
  for (let next = addDays(lastDay, 1); next < day && missed.length < maximumMissed; next = addDays(next, 1))
    missed.push(next);
  return { day, missed };
}
