import type { Person } from '../channel.ts';
import type { Desk } from '../desk.ts';
import { type IncidentRecord, isOver } from '../incident/incident.ts';

/** Snoozed for so long when nobody says how long. */
export const snoozeMs = 60 * 60_000;
const longestSnoozeMs = 7 * 24 * 60 * 60_000;
const unknownIncident = 'There is no such incident.';
const over = 'This incident is over.';
const notYetOpen = 'It is not open yet; try again in a moment.';

/** Somebody is on it. Answers in words; call inside a transaction. */
export function acknowledge(desk: Desk, incident: IncidentRecord | undefined, person: Person): string {
  if (incident === undefined) return unknownIncident;
  if (isOver(incident)) return over;
  if (incident.acknowledgedBy !== undefined) return `Already acknowledged by ${incident.acknowledgedName}.`;
  const after = desk.change(incident.id, { type: 'acknowledged', by: person });
  return after?.acknowledgedBy === undefined ? notYetOpen : 'Acknowledged.';
}

/** No sound for a while, a week at most. Answers in words; call inside a transaction. */
export function snooze(
  desk: Desk,
  incident: IncidentRecord | undefined,
  { person, forMs }: { person: Person; forMs: number },
): string {
  if (incident === undefined) return unknownIncident;
  if (isOver(incident)) return over;
  const until = desk.now + Math.min(forMs, longestSnoozeMs);
  const after = desk.change(incident.id, { type: 'snoozed', by: person, until });
  return after?.snoozedUntil === until ? 'Snoozed.' : notYetOpen;
}
