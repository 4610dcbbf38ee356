import { type Severity, worse } from '#bus/fields.ts';
import type { Incident } from '#bus/messages/incident.ts';
import type { Group } from './grouping.ts';

interface Member {
  fingerprint: string;
  occurrence: string;
  host?: string;
  summary: string;
  severity: Severity;
  status: 'firing' | 'resolved';
  role: 'root' | 'symptom';
  rule: string;
  why: string;
}

/** What was told of an incident, for the next decision; the log of all decisions is in the store. */
export interface Told {
  state: 'open' | 'resolved' | 'merged';
  severity: Severity;
  /** Epoch ms of the last message that made a sound; undefined when none did. */
  soundAt: number | undefined;
  at: number;
}

/** How far the present attempt to fix it is. */
interface Fix {
  plan?: string;
  run?: string;
  outcome?: 'fixed' | 'not-fixed' | 'worse' | 'unknown';
}

/**
 * One thing that is wrong for one reason, as triage keeps it. Times are epoch ms.
 *
 *     grouping -> open -> resolved -> closed
 *        |          ^________|  |        |    fires again, or a run did not fix it
 *        |          ^___________________|    fires again soon after
 *        '-> closed (over before anybody was told, or part of another)
 */
export interface IncidentRecord {
  id: string;
  state: Incident['state'];
  severity: Severity;
  title: string;
  root: string;
  members: Member[];
  startsAt: number;
  /** When grouping ends and the first message goes out. */
  openAt: number;
  endsAt?: number;
  closedAt?: number;
  updatedAt: number;
  acknowledgedBy?: string;
  acknowledgedName?: string;
  snoozedUntil?: number;
  mergedInto?: string;
  reopened: number;
  /** The root that the present assessment is about; absent while one is wanted. */
  assessedRoot?: string;
  fix: Fix;
  told?: Told;
  /** News for the card, oldest first; the whole timeline is in the store. */
  news: { at: number; text: string }[];
}

export type IncidentEvent =
  | { type: 'grouped'; group: Group }
  | { type: 'opened' }
  | { type: 'recovered' }
  | { type: 'reopened'; why: string }
  | { type: 'acknowledged'; by: { id: string; name: string } }
  | { type: 'snoozed'; by: { id: string; name: string }; until: number }
  | { type: 'woke' }
  | { type: 'merged'; into: { id: string; title: string } }
  | { type: 'fix'; fix: Fix }
  | { type: 'assessed'; root: string }
  | { type: 'told'; told: Told }
  | { type: 'noted'; text: string }
  | { type: 'closed' };

const maximumNews = 12;
const maximumMembers = 500;

/** A new incident from a group; it waits for its cause and its symptoms until `openAt`. */
export function beginIncident(id: string, group: Group, at: { now: number; groupWaitMs: number }): IncidentRecord {
  const blank: IncidentRecord = {
    id,
    state: 'grouping',
    severity: group.root.severity,
    title: titleOf(group),
    root: group.root.fingerprint,
    members: [],
    startsAt: at.now,
    openAt: at.now + at.groupWaitMs,
    updatedAt: at.now,
    reopened: 0,
    fix: {},
    news: [],
  };
  return regroup(blank, group, at.now);
}

/** The state machine. Contract: an event that does not fit the state leaves the record as it is, the same object. */
export function advance(incident: IncidentRecord, event: IncidentEvent, now: number): IncidentRecord {
  switch (event.type) {
    case 'grouped':
      return incident.state === 'closed' ? incident : regroup(incident, event.group, now);
    case 'recovered':
      return recover(incident, now);
    case 'reopened':
      return reopen(incident, event.why, now);
    case 'merged':
      return merge(incident, event.into, now);
    case 'opened':
    case 'closed':
      return passOn(incident, event.type, now);
    case 'acknowledged':
    case 'snoozed':
    case 'woke':
      return attend(incident, event, now);
    default:
      return write(incident, event, now);
  }
}

function passOn(incident: IncidentRecord, type: 'opened' | 'closed', now: number): IncidentRecord {
  if (type === 'opened' && incident.state === 'grouping') return { ...incident, state: 'open', updatedAt: now };
  if (type === 'closed' && incident.state === 'resolved') {
    return { ...incident, state: 'closed', closedAt: now, updatedAt: now };
  }
  return incident;
}

/** What fits every state. */
function write(
  incident: IncidentRecord,
  event: Extract<IncidentEvent, { type: 'fix' | 'assessed' | 'told' | 'noted' }>,
  now: number,
): IncidentRecord {
  switch (event.type) {
    case 'fix':
      return { ...incident, fix: event.fix, updatedAt: now };
    case 'assessed':
      return { ...incident, assessedRoot: event.root, updatedAt: now };
    case 'told':
      return { ...incident, told: event.told };
    case 'noted':
      return note(incident, event.text, now);
    default:
      return event satisfies never;
  }
}

function attend(
  incident: IncidentRecord,
  event: Extract<IncidentEvent, { type: 'acknowledged' | 'snoozed' | 'woke' }>,
  now: number,
): IncidentRecord {
  if (incident.state === 'closed' || incident.state === 'grouping') return incident;
  if (event.type === 'acknowledged') {
    if (incident.acknowledgedBy !== undefined) return incident;
    const acknowledged = { ...incident, acknowledgedBy: event.by.id, acknowledgedName: event.by.name };
    return note(acknowledged, `Acknowledged by ${event.by.name}`, now);
  }
  if (event.type === 'snoozed') {
    return note({ ...incident, snoozedUntil: event.until }, `Snoozed by ${event.by.name}`, now);
  }
  if (incident.snoozedUntil === undefined) return incident;
  const { snoozedUntil: _, ...awake } = incident;
  return { ...awake, updatedAt: now };
}

/** Over before it was told: closed without a word. Over later: resolved, and closed when it stays so. */
function recover(incident: IncidentRecord, now: number): IncidentRecord {
  const over = { ...incident, members: incident.members.map((member) => ({ ...member, status: 'resolved' as const })) };
  if (incident.state === 'grouping') return { ...over, state: 'closed', endsAt: now, closedAt: now, updatedAt: now };
  if (incident.state !== 'open') return incident;
  return note({ ...over, state: 'resolved', endsAt: now }, 'Resolved', now);
}

function reopen(incident: IncidentRecord, why: string, now: number): IncidentRecord {
  if (incident.state === 'grouping' || incident.mergedInto !== undefined) return incident;
  const again = { ...incident, state: 'open' as const, reopened: incident.reopened + 1, fix: {} };
  for (const key of [
    'endsAt',
    'closedAt',
    'acknowledgedBy',
    'acknowledgedName',
    'snoozedUntil',
    'assessedRoot',
  ] as const) {
    delete again[key];
  }
  return note(again, why, now);
}

function merge(incident: IncidentRecord, into: { id: string; title: string }, now: number): IncidentRecord {
  if (incident.state === 'closed') return incident;
  const merged: IncidentRecord = { ...incident, state: 'closed', mergedInto: into.id, endsAt: now, closedAt: now };
  return note(merged, `Part of "${into.title}"`, now);
}

function note(incident: IncidentRecord, text: string, now: number): IncidentRecord {
  const news = [...incident.news, { at: now, text: text.slice(0, 600) }].slice(-maximumNews);
  return { ...incident, news, updatedAt: now };
}

/** Members in the group are firing; those that were and are not any more stay on the list as resolved. */
function regroup(incident: IncidentRecord, group: Group, now: number): IncidentRecord {
  const firing = new Map(group.members.map((member) => [member.clue.fingerprint, member]));
  const gone = incident.members
    .filter((member) => !firing.has(member.fingerprint))
    .map((member): Member => ({ ...member, role: 'symptom', status: 'resolved' }));
  const present = group.members.map((member): Member => ({
    fingerprint: member.clue.fingerprint,
    occurrence: member.clue.occurrence,
    ...(member.clue.host !== undefined && { host: member.clue.host }),
    summary: member.clue.summary,
    severity: member.clue.severity,
    status: 'firing',
    role: member.role,
    rule: member.rule,
    why: member.why,
  }));
  const next: IncidentRecord = {
    ...incident,
    severity: present.reduce<Severity>((worst, member) => worse(worst, member.severity), 'info'),
    title: titleOf(group),
    root: group.root.fingerprint,
    members: [...present, ...(incident.state === 'grouping' ? [] : gone)].slice(0, maximumMembers),
    startsAt: Math.min(incident.startsAt, group.root.startsAt),
    updatedAt: now,
  };
  if (next.root === incident.root || incident.state !== 'open') return next;
  return note(next, `New root: ${next.title}`, now);
}

function titleOf(group: Group): string {
  const { host, summary } = group.root;
  const title = host === undefined || summary.includes(host) ? summary : `${host}: ${summary}`;
  return title.slice(0, 300);
}

/** What was wrong is not wrong any more, as far as anybody knows. */
export function isOver({ state }: IncidentRecord): boolean {
  return state === 'resolved' || state === 'closed';
}

/** Resolved members count too: the same condition firing again soon is the same incident. */
export function holds(incident: IncidentRecord, fingerprint: string): boolean {
  return incident.members.some((member) => member.fingerprint === fingerprint);
}
