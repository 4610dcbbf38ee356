import { type Severity, compareSeverity } from '#bus/fields.ts';
import type { Config } from '#config/schema.ts';
import { localTime } from '../local-time.ts';

type QuietHours = Config['triage']['quietHours'];

/** True when a message of this severity makes no sound now. `from` after `to` spans midnight; equal means never. */
export function isQuiet(hours: QuietHours, severity: Severity, now: number): boolean {
  if (hours === undefined || compareSeverity(severity, hours.floor) >= 0) return false;
  const { time } = localTime(now, hours.timezone);
  if (hours.from <= hours.to) return time >= hours.from && time < hours.to;
  return time >= hours.from || time < hours.to;
}
