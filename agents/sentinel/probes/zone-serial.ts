import { formatDuration } from '#config/duration.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { serialDistance } from './dns-record.ts';
import { level, type Said, state } from './reading.ts';
import { remember } from './remembered.ts';

/** Since when a secondary lacks which serial of the primary. Epoch ms. */
interface Lag {
  serial: number;
  since: number;
}

interface ZoneSerials {
  zone: string;
  /** Undefined: it did not tell. */
  primary: number | undefined;
  secondaries: readonly { name: string; serial: number | undefined }[];
  warningMs: number;
  criticalMs: number;
}

export function observeSerial(
  said: Omit<Said, 'summary'>,
  of: { server: string; zone: string; serial: number },
): Observation {
  return state({
    ...said,
    summary: `${of.server} serves ${of.zone} with serial ${of.serial}`,
    ok: true,
    severity: 'critical',
  });
}

/**
 * How long each secondary has been without what the primary has. A zone that changes all the time is always a little
 * behind: a secondary that has reached the serial it lacked starts anew. Silent servers are told elsewhere; while one is
 * silent its lag is neither counted nor forgotten.
 */
export function observeLag(of: ZoneSerials, context: CheckContext): Observation[] {
  const { primary } = of;
  if (primary === undefined) return [];
  const before = rememberedLags(context.memory.get('lags'));
  const after = new Map<string, Lag>();
  const observations = of.secondaries.flatMap(({ name, serial }) => {
    const known = before.get(name);
    if (serial === undefined) {
      if (known !== undefined) after.set(name, known);
      return [];
    }
    const lag = lagOf(known, { primary, serial, now: context.clock.now() });
    if (lag !== undefined) after.set(name, lag);
    return [
      lagObservation(of, { name, primary, serial, lagMs: lag === undefined ? 0 : context.clock.now() - lag.since }),
    ];
  });
  remember(context.memory, 'lags', Object.fromEntries(after));
  return observations;
}

export function lagOf(known: Lag | undefined, at: { primary: number; serial: number; now: number }): Lag | undefined {
  if (at.primary === at.serial) return undefined;
  const fresh = { serial: at.primary, since: at.now };
  if (known === undefined || known.since > at.now) return fresh;
  const isAhead = (serialDistance(at.serial, at.primary) ?? 0) > 0;
  const hasCaughtUp = (serialDistance(at.serial, known.serial) ?? -1) >= 0;
  return hasCaughtUp && !isAhead ? fresh : known;
}

function lagObservation(
  of: ZoneSerials,
  at: { name: string; primary: number; serial: number; lagMs: number },
): Observation {
  return level({
    condition: 'replica-behind',
    resource: `${of.zone} @${at.name}`,
    labels: { zone: of.zone, server: at.name },
    // The value is a time already.
    holdMs: 0,
    summary: serialText(of.zone, at),
    value: Math.round(at.lagMs / 1_000),
    unit: 's',
    bad: 'above',
    warning: of.warningMs / 1_000,
    critical: of.criticalMs / 1_000,
  });
}

function serialText(zone: string, at: { name: string; primary: number; serial: number; lagMs: number }): string {
  if (at.primary === at.serial) return `${at.name} has serial ${at.serial} of ${zone} as the primary has`;
  const distance = serialDistance(at.serial, at.primary);
  const since = `for ${formatDuration(Math.round(at.lagMs / 1_000) * 1_000)}`;
  const serials = `serial ${at.serial}, primary ${at.primary}`;
  // It never transfers a zone that is older than its own: somebody has to raise the primary's serial.
  if (distance === undefined || distance > 0)
    return `${at.name} is ahead of the primary of ${zone} ${since}: ${serials}`;
  return `${at.name} is behind the primary of ${zone} ${since}: ${serials}`;
}

function rememberedLags(value: unknown): Map<string, Lag> {
  const lags = new Map<string, Lag>();
  if (value === null || typeof value !== 'object') return lags;
  for (const [name, lag] of Object.entries(value)) if (isLag(lag)) lags.set(name, lag);
  return lags;
}

function isLag(value: unknown): value is Lag {
  return (
    value !== null &&
    typeof value === 'object' &&
    'serial' in value &&
    typeof value.serial === 'number' &&
    'since' in value &&
    typeof value.since === 'number'
  );
}
