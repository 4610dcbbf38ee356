import type { Config } from '#config/schema.ts';
import type { IncidentRecord } from '../incident/incident.ts';
import { isSnoozed } from './notify.ts';
import { isQuiet } from './quiet-hours.ts';

type RemindConfig = Pick<Config, 'triage' | 'digest'>;

/** Where nobody wrote quiet hours: reminding of what is not critical can wait for the morning. */
const night = { from: '22:00', to: '07:00', floor: 'critical' } as const;
const maximumListed = 10;
/** The part of its interval after which an incident comes along with another's reminder. */
const comesAlong = 0.75;

/**
 * Of which open incidents people are reminded now, in one message. When one is due, those that have waited for
 * most of their interval come along, so that ten open warnings do not make ten messages at ten times.
 */
export function dueReminders(incidents: Iterable<IncidentRecord>, config: RemindConfig, now: number): IncidentRecord[] {
  const share = (incident: IncidentRecord): number => waitedOf(incident, now) / intervalOf(incident, config);
  const waiting = [...incidents].filter(
    (incident) => share(incident) >= comesAlong && mayRemind(incident, config, now),
  );
  return waiting.some((incident) => share(incident) >= 1) ? waiting : [];
}

function mayRemind(incident: IncidentRecord, { triage, digest }: RemindConfig, now: number): boolean {
  const { severity, state, told } = incident;
  if (state !== 'open' || told?.state !== 'open' || severity === 'info') return false;
  if (incident.acknowledgedBy !== undefined || isSnoozed(incident, now)) return false;
  if (intervalOf(incident, { triage, digest }) === 0) return false;
  // Held back, not sent without a sound: a silent reminder reminds nobody.
  return !isQuiet(triage.quietHours ?? { ...night, timezone: digest.timezone }, severity, now);
}

function waitedOf({ told }: IncidentRecord, now: number): number {
  return now - (told?.at ?? now);
}

function intervalOf({ severity }: IncidentRecord, { triage }: RemindConfig): number {
  const { repeatInterval, criticalRepeatInterval } = triage;
  return severity === 'critical' ? Math.min(repeatInterval, criticalRepeatInterval) : repeatInterval;
}

export function reminderText(incidents: readonly IncidentRecord[]): string {
  const [only, ...others] = incidents;
  if (only !== undefined && others.length === 0) return `Still open: ${only.title}`;
  const lines = incidents.slice(0, maximumListed).map(({ severity, title }) => `• ${severity}: ${title}`);
  const more = incidents.length - lines.length;
  return [`Still open: ${incidents.length}`, ...lines, ...(more > 0 ? [`and ${more} more`] : [])].join('\n');
}
