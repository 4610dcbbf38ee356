import type { Severity } from '#bus/fields.ts';
import type { Observation, Reading, Threshold } from './check.ts';
import type { BoundCheck } from './registry.ts';
import { type Look, type Rule, type TrackState } from './state.ts';

/** Uptime tools fire on one to three failures; 3 of 5 or 2 minutes tells a blip from a fault. */
const defaultHoldMs = 120_000;
const defaultWindow = { failures: 3, of: 5 };
/** Looks older than so many intervals say nothing about now. */
const gapIntervals = 3;

/**
 * When a condition of this check fires and clears. What the person wrote goes before what the kind says; an event
 * (`holdMs: 0`) does not hold and so fires whatever `for` says.
 */
export function ruleFor(check: BoundCheck, observation?: Pick<Observation, 'holdMs' | 'keepFiringMs'>): Rule {
  const { config } = check;
  const base = {
    keepFiringMs: keepFiringOf(check, observation),
    clearAfter: config.clearAfter,
    gapMs: Math.max(gapIntervals * check.intervalMs, (config.for ?? defaultHoldMs) * 2),
  };
  if (observation?.holdMs === 0) return { ...base, holdMs: 0 };
  if (config.for !== undefined || config.window !== undefined) {
    return {
      ...base,
      ...(config.for !== undefined && { holdMs: config.for }),
      ...(config.window !== undefined && { window: config.window }),
    };
  }
  if (observation?.holdMs !== undefined) {
    return { ...base, holdMs: observation.holdMs, gapMs: Math.max(base.gapMs, observation.holdMs) };
  }
  return { ...base, holdMs: defaultHoldMs, window: defaultWindow };
}

function keepFiringOf({ config }: BoundCheck, observation?: Pick<Observation, 'keepFiringMs'>): number {
  return config.keepFiringFor === 0 ? (observation?.keepFiringMs ?? 0) : config.keepFiringFor;
}

/** The rule of "could not look": its own patience, over with the first look that sees again. */
export function unknownRule(check: BoundCheck): Rule {
  const holdMs = check.config.unknownFor;
  return { holdMs, keepFiringMs: 0, clearAfter: 1, gapMs: Math.max(gapIntervals * check.intervalMs, 2 * holdMs) };
}

/** The rule of "was not looked at": silence of three intervals has been long enough already. */
export const staleRule: Rule = { holdMs: 0, keepFiringMs: 0, clearAfter: 1, gapMs: Number.MAX_SAFE_INTEGER };

/** A reading as a look. A level that already counts stays bad until its clear threshold. */
export function judge(reading: Reading, state: TrackState, replaced?: Severity): Look {
  switch (reading.is) {
    case 'unknown':
      return { is: 'unknown' };
    case 'asleep':
      return { is: 'good' };
    case 'state':
      return reading.ok ? { is: 'good' } : { is: 'bad', severity: replaced ?? reading.severity };
    case 'level': {
      if (!Number.isFinite(reading.value)) return { is: 'unknown' };
      const active = state.phase === 'ok' ? undefined : state.severity;
      const severity = severityOf(reading, active, replaced !== undefined);
      return severity === undefined ? { is: 'good' } : { is: 'bad', severity: replaced ?? severity };
    }
  }
}

/** Why nothing is known, when nothing is. */
export function unseenReason(reading: Reading): string | undefined {
  if (reading.is === 'unknown') return reading.reason;
  if (reading.is === 'level' && !Number.isFinite(reading.value)) return 'the value is not a number';
  return undefined;
}

type Level = Extract<Reading, { is: 'level' }>;

/** How bad a level is, given the severity that already counts. */
export function severityOf(level: Level, active?: Severity, isReplaced = false): Severity | undefined {
  // With one severity for all, nothing tells which threshold the condition began at: each keeps it until its clear.
  const isCriticalActive = active === 'critical' || (isReplaced && active !== undefined && level.warning === undefined);
  if (isBeyond(level, level.critical, isCriticalActive)) return 'critical';
  if (isBeyond(level, level.warning, active !== undefined)) return 'warning';
  return undefined;
}

function isBeyond(level: Level, threshold: Threshold | undefined, isActive: boolean): boolean {
  if (threshold === undefined) return false;
  const sign = level.bad === 'above' ? 1 : -1;
  const isOver = sign * level.value >= sign * threshold.trigger;
  return isOver || (isActive && sign * level.value > sign * threshold.clear);
}
