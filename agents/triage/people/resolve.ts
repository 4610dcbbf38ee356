import { z } from 'zod';
import type { Incident } from '#bus/messages/incident.ts';
import type { Asking } from '../asking.ts';
import type { Person } from '../channel.ts';
import type { Desk } from '../desk.ts';
import { type IncidentRecord, isOver } from '../incident/incident.ts';
import { sendText } from '../present.ts';

export interface AskedToResolve {
  person: Person;
  incident: string;
  /** What fires in it. */
  fingerprints: readonly string[];
}

const Answer = z.object({ resolved: z.number(), left: z.number() });
const answerMs = 15_000;
/** A question must fit into one message; who asks again gets the rest. */
const maximumAsked = 500;

/** What sentinel is asked to end. */
export function firingIn({ members }: Pick<Incident, 'members'>): string[] {
  const firing = members.filter(({ status }) => status === 'firing');
  return firing.slice(0, maximumAsked).map(({ fingerprint }) => fingerprint);
}

/** Some senders never say that an alert is over: a person does. Answers in words; call inside a transaction. */
export function resolveOne(
  desk: Desk,
  of: { incident: IncidentRecord; person: Person; resolve: (asked: AskedToResolve) => void },
): string {
  const { incident, person, resolve } = of;
  if (isOver(incident)) return 'This incident is over.';
  const fingerprints = firingIn(incident);
  desk.journal('incident', incident.id, { event: 'resolve-asked', by: person.id });
  desk.afterCommit(() => resolve({ person, incident: incident.id, fingerprints }));
  return 'Sentinel is asked; it says here what it ended.';
}

/** Sentinel knows what others reported and ends only that; what it says goes where it was asked for. */
export function askToResolve(
  { asking, desk }: { asking: Asking; desk: Desk },
  { person, incident, fingerprints }: AskedToResolve,
  channel: string,
): void {
  const data = { fingerprints, by: `${person.name} (${person.id})` };
  const late = `Cannot resolve ${incident}: sentinel did not answer in time`;
  asking.ask({ verb: 'resolve', data, ms: answerMs, late }, (reply) => {
    sendText(desk, reply.ok ? `${incident}: ${resolvedText(reply.data)}` : reply.failure.message, channel);
  });
}

/** What sentinel's answer says to a person. */
export function resolvedText(answer: Record<string, unknown>): string {
  const parsed = Answer.safeParse(answer);
  if (!parsed.success) return 'Cannot read what sentinel answered';
  const { resolved, left } = parsed.data;
  const ended = `${resolved} reported ${resolved === 1 ? 'alert is' : 'alerts are'} over; whoever still reports one opens it again.`;
  const own = `What Lares sees itself (${left}) ends when it is well.`;
  if (resolved === 0) return left === 0 ? 'Nothing fires in it.' : own;
  return left === 0 ? ended : `${ended} ${own}`;
}
