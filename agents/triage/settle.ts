import type { Desk } from './desk.ts';
import { arrange } from './incident/arrange.ts';
import type { IncidentRecord } from './incident/incident.ts';
import { type Decision, decide } from './notify/notify.ts';
import { dueReminders, reminderText } from './notify/remind.ts';
import { tellUnheard } from './plans/unheard.ts';
import { presentIncident, redraw } from './present.ts';
import { reopenWindowMs } from './world.ts';

/**
 * The end of every transaction: findings find their incidents, deadlines take effect, people are told. Contract: what
 * it does follows from the store and the clock alone, so that doing it again does nothing.
 */
export function settle(desk: Desk): void {
  if (desk.moved.size > 0) arrange(desk);
  if (desk.isTick) {
    redrawExpired(desk);
    tellUnheard(desk);
  }
  for (const incident of concerned(desk)) {
    if (incident.state !== 'closed') passTime(desk, incident);
  }
  for (const incident of concerned(desk)) {
    const decision = decide(incident, desk.config.triage, desk.now);
    if (decision !== undefined) tell(desk, incident, decision);
  }
  if (desk.isTick) remind(desk);
  for (const id of desk.dirty) write(desk, id);
}

/** All on a tick; else those that this transaction touched. */
function concerned(desk: Desk): IncidentRecord[] {
  if (desk.isTick) return [...desk.world.incidents.values()];
  return [...desk.dirty].flatMap((id) => desk.world.incident(id) ?? []);
}

/** Approving must not be offered after its time, also when the worker that would say so is away. */
function redrawExpired(desk: Desk): void {
  for (const plan of desk.store.plans.takeExpired(desk.now)) redraw(desk, plan);
}

function passTime(desk: Desk, incident: IncidentRecord): void {
  const { now } = desk;
  if (incident.state === 'grouping' && incident.openAt <= now) desk.change(incident.id, { type: 'opened' });
  if (incident.snoozedUntil !== undefined && incident.snoozedUntil <= now) desk.change(incident.id, { type: 'woke' });
  if (incident.state !== 'resolved') return;
  const isProved = incident.fix.outcome === 'fixed';
  if (isProved || (incident.endsAt ?? 0) + reopenWindowMs <= now) desk.change(incident.id, { type: 'closed' });
}

function tell(desk: Desk, incident: IncidentRecord, decision: Decision): void {
  desk.change(incident.id, { type: 'told', told: decision.told });
  const entry = { at: desk.now, reason: decision.reason, sound: decision.sound };
  desk.store.incidents.logNotification(incident.id, entry);
  desk.journal('notification', incident.id, { reason: decision.reason, sound: decision.sound });
  if (decision.reason === 'first') {
    const told = desk.world.incident(incident.id) ?? incident;
    desk.outbox.card(incident.id, { type: 'card', card: presentIncident(desk, told), silent: !decision.sound });
  }
  if (decision.notice !== undefined) {
    const key = `${decision.reason}:${incident.id}:${desk.now}`;
    desk.outbox.notice(key, { type: 'notice', text: decision.notice, silent: !decision.sound });
  }
}

/** One message for all that wait. A card is not drawn anew for it: nothing on it changed. */
function remind(desk: Desk): void {
  const { now } = desk;
  const due = dueReminders(desk.world.incidents.values(), desk.config, now);
  if (due.length === 0) return;
  for (const [index, { id, severity }] of due.entries()) {
    desk.change(id, { type: 'told', told: { state: 'open', severity, soundAt: now, at: now } });
    desk.store.incidents.logNotification(id, { at: now, reason: 'reminder', sound: index === 0 });
    desk.journal('notification', id, { reason: 'reminder', sound: index === 0 });
  }
  const message = { type: 'notice', text: reminderText(due), silent: false } as const;
  desk.outbox.reminder(
    String(now),
    message,
    due.map(({ id }) => id),
  );
}

function write(desk: Desk, id: string): void {
  const incident = desk.world.incident(id);
  if (incident === undefined) return;
  desk.store.incidents.save(incident);
  if (incident.told === undefined) return;
  desk.outbox.card(id, { type: 'card', card: presentIncident(desk, incident), silent: true });
}
