import { createTask, type ParsedFields, parse } from 'node-cron';
import { Failure } from '#bus/failure.ts';
import { offsetAt, transitionsBetween, type ZoneTransition } from './time-zone.ts';

const dayMs = 86_400_000;
const everyHour = 24;

/** A cron expression as node-cron reads it, with the day test left to node-cron's own matcher. */
interface CronPlan {
  fields: ParsedFields;
  /** `dayMs` is a wall-clock date written as if it were UTC, at midnight. */
  matchesDay(dayMs: number): boolean;
}

const plans = new Map<string, CronPlan>();

/**
 * Why this expression cannot be used, or undefined. Expressions that restrict both day fields are refused: node-cron
 * means "both", Vixie cron means "either", and nobody can see which was meant.
 */
export function cronFault(expression: string): string | undefined {
  let fields: ParsedFields;
  try {
    fields = parse(expression);
  } catch (error) {
    return error instanceof Error ? error.message.slice(0, 200) : 'is not a cron expression';
  }
  const isAnyDayOfMonth = fields.dayOfMonth.length >= 31;
  const isAnyDayOfWeek = fields.dayOfWeek.length >= 7;
  if (!isAnyDayOfMonth && !isAnyDayOfWeek) return 'restricts both day of month and day of week; make one of them *';
  return undefined;
}

/**
 * The first run after an instant (epoch ms), whatever the process' own clock says; Infinity when there is none in 40
 * years. A run that falls into the hour that a zone skips is made up at the first instant after it; one in the hour
 * that comes twice runs in the first pass only, unless the expression runs in every hour: then in both.
 */
export function nextCronRun(expression: string, timezone: string, afterMs: number): number {
  const plan = planOf(expression);
  // Whole seconds: the finest that cron can say.
  const after = Math.floor(afterMs / 1_000) * 1_000;
  const today = Math.floor((after + offsetAt(timezone, after)) / dayMs) * dayMs;
  // The day before too: a clock that is set back over midnight brings it back.
  for (let day = today - dayMs; day < today + 40 * 366 * dayMs; day += dayMs) {
    if (!mayMatch(plan, day) || !plan.matchesDay(day)) continue;
    const next = firstRunOfDay(plan, { day, timezone, after });
    if (next !== undefined) return next;
  }
  return Number.POSITIVE_INFINITY;
}

/**
 * One sentence for each run in the coming year that falls into an hour which the zone skips. `fromMs` is the instant
 * that "coming" counts from.
 */
export function cronWarnings(expression: string, timezone: string, fromMs: number = Date.now()): string[] {
  const plan = planOf(expression);
  if (plan.fields.hour.length === everyHour) return [];
  return transitionsBetween(timezone, fromMs, fromMs + 366 * dayMs).flatMap((transition) => {
    const lost = firstLostTime(plan, transition);
    if (lost === undefined) return [];
    const [date = '', time = ''] = wallText(lost).split(' ');
    const after = wallText(transition.at + transition.afterMs).split(' ')[1] ?? '';
    return [`${time} does not exist on ${date} in ${timezone}: it runs at ${after} that day`];
  });
}

function planOf(expression: string): CronPlan {
  const known = plans.get(expression);
  if (known !== undefined) return known;
  const fault = cronFault(expression);
  if (fault !== undefined) {
    throw new Failure(`Cannot use the cron expression "${expression.slice(0, 100)}": ${fault}`, { recoverable: false });
  }
  const fields = parse(expression);
  const task = createTask(expression, () => undefined, { timezone: 'UTC' });
  const timeOfDay = ((fields.hour[0] ?? 0) * 3_600 + (fields.minute[0] ?? 0) * 60 + (fields.second[0] ?? 0)) * 1_000;
  const plan: CronPlan = { fields, matchesDay: (day) => task.match(new Date(day + timeOfDay)) };
  plans.set(expression, plan);
  return plan;
}

/** A cheap test before node-cron's matcher, which formats dates. */
function mayMatch(plan: CronPlan, day: number): boolean {
  return plan.fields.month.includes(new Date(day).getUTCMonth() + 1);
}

/** Times of day in ascending order, in milliseconds since midnight by the wall clock, from the given one. */
function* timesOfDay(fields: ParsedFields, fromMs: number): Generator<number> {
  for (const hour of fields.hour.toSorted((a, b) => a - b)) {
    if ((hour + 1) * 3_600_000 <= fromMs) continue;
    for (const minute of fields.minute.toSorted((a, b) => a - b)) {
      if ((hour * 60 + minute + 1) * 60_000 <= fromMs) continue;
      for (const second of fields.second.toSorted((a, b) => a - b)) {
        const time = ((hour * 60 + minute) * 60 + second) * 1_000;
        if (time >= fromMs) yield time;
      }
    }
  }
}

function firstRunOfDay(plan: CronPlan, options: { day: number; timezone: string; after: number }): number | undefined {
  const { day, timezone, after } = options;
  const [change] = transitionsBetween(timezone, day - dayMs, day + 2 * dayMs);
  if (change === undefined) {
    const offset = offsetAt(timezone, day);
    for (const time of timesOfDay(plan.fields, after + offset - day)) {
      if (day + time - offset > after) return day + time - offset;
    }
    return undefined;
  }
  let best: number | undefined;
  for (const time of timesOfDay(plan.fields, 0)) {
    for (const instant of instantsOf(plan, day + time, change)) {
      if (instant > after && (best === undefined || instant < best)) best = instant;
    }
  }
  return best;
}

/** When a wall-clock time is, near a change of the zone's offset: once, twice, or made up. */
function instantsOf(plan: CronPlan, wall: number, change: ZoneTransition): number[] {
  const isEachHour = plan.fields.hour.length === everyHour;
  const before = wall - change.beforeMs;
  const since = wall - change.afterMs;
  const found = [...(before < change.at ? [before] : []), ...(since >= change.at ? [since] : [])];
  if (found.length === 0) return isEachHour ? [] : [change.at];
  return isEachHour ? found : found.slice(0, 1);
}

/** The first wall-clock time of a run that the change skips. */
function firstLostTime(plan: CronPlan, change: ZoneTransition): number | undefined {
  const from = change.at + change.beforeMs;
  const to = change.at + change.afterMs;
  for (let day = Math.floor(from / dayMs) * dayMs; day < to; day += dayMs) {
    if (!plan.matchesDay(day)) continue;
    for (const time of timesOfDay(plan.fields, Math.max(0, from - day))) {
      if (day + time >= to) break;
      return day + time;
    }
  }
  return undefined;
}

function wallText(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, 16).replace('T', ' ');
}
