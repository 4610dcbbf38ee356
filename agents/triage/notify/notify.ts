import { compareSeverity } from '#bus/fields.ts';
import type { Config } from '#config/schema.ts';
import type { IncidentRecord, Told } from '../incident/incident.ts';
import { isQuiet } from './quiet-hours.ts';

/** Why a message goes out; written to the notification log, so that a restart repeats nothing. */
type Reason = 'first' | 'escalated' | 'reopened' | 'resolved' | 'merged';

export interface Decision {
  reason: Reason;
  sound: boolean;
  /** The short text beside the edited card: an edit rings nowhere. Absent when the card itself is the message. */
  notice: string | undefined;
  told: Told;
}

type NotifyConfig = Pick<Config['triage'], 'groupInterval' | 'quietHours'>;

/**
 * What to tell of an incident now, as Alertmanager decides it from its notification log; undefined for nothing. The
 * card follows every change by itself and silently: this decides first messages, sounds and notices. Reminders are in
 * `remind.ts`.
 */
export function decide(incident: IncidentRecord, config: NotifyConfig, now: number): Decision | undefined {
  if (incident.state === 'grouping') return undefined;
  if (incident.told === undefined) return first(incident, config, now);
  if (incident.mergedInto !== undefined) {
    return incident.told.state === 'merged'
      ? undefined
      : quietly(incident, incident.told, { reason: 'merged', at: now });
  }
  if (incident.state !== 'open') return ended(incident, incident.told, now);
  return goingOn(incident, incident.told, { config, now });
}

/** Information alone is for the digest; what was over before it could be told is noise. */
function first(incident: IncidentRecord, config: NotifyConfig, now: number): Decision | undefined {
  if (incident.state !== 'open' || incident.severity === 'info') return undefined;
  const sound = !isSilenced(incident, config, now);
  return {
    reason: 'first',
    sound,
    notice: undefined,
    told: { state: 'open', severity: incident.severity, soundAt: sound ? now : undefined, at: now },
  };
}

function ended(incident: IncidentRecord, told: Told, now: number): Decision | undefined {
  if (told.state !== 'open') return undefined;
  const decision = quietly(incident, told, { reason: 'resolved', at: now });
  const word = incident.fix.outcome === 'fixed' ? 'Fixed' : 'Resolved';
  const wasHeard = told.soundAt !== undefined;
  return { ...decision, notice: wasHeard ? `${word}: ${incident.title}` : undefined };
}

function goingOn(
  incident: IncidentRecord,
  told: Told,
  { config, now }: { config: NotifyConfig; now: number },
): Decision | undefined {
  const sound = !isSilenced(incident, config, now);
  if (told.state !== 'open') return heard(incident, { reason: 'reopened', sound, text: 'Again' }, now);
  if (compareSeverity(incident.severity, told.severity) > 0) {
    // The first sound after a silent message does not wait for the interval.
    if (told.soundAt !== undefined && now - told.soundAt < config.groupInterval) return undefined;
    return heard(incident, { reason: 'escalated', sound, text: `Now ${incident.severity}` }, now);
  }
  return undefined;
}

function heard(
  incident: IncidentRecord,
  what: { reason: Reason; sound: boolean; text: string },
  now: number,
): Decision {
  return {
    reason: what.reason,
    sound: what.sound,
    notice: `${what.text}: ${incident.title}`,
    told: { state: 'open', severity: incident.severity, soundAt: what.sound ? now : incident.told?.soundAt, at: now },
  };
}

function quietly(incident: IncidentRecord, told: Told, what: { reason: 'merged' | 'resolved'; at: number }): Decision {
  const state = what.reason;
  return {
    reason: what.reason,
    sound: false,
    notice: undefined,
    told: { ...told, state, severity: incident.severity, at: what.at },
  };
}

export function isSnoozed(incident: IncidentRecord, now: number): boolean {
  return incident.snoozedUntil !== undefined && incident.snoozedUntil > now;
}

/** No sound: information, quiet hours below the floor, or snoozed. */
export function isSilenced(incident: IncidentRecord, config: NotifyConfig, now: number): boolean {
  return incident.severity === 'info' || isSnoozed(incident, now) || isQuiet(config.quietHours, incident.severity, now);
}
