import { z } from 'zod';
import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Person } from '../channel.ts';
import type { Desk } from '../desk.ts';
import { type IncidentRecord, isOver } from '../incident/incident.ts';
import { oneMessage, sendText } from '../present.ts';
import { within } from '../within.ts';

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

/** Some senders never say that an alert is over: a person does. Answers in words; call inside a transaction. */
export function resolveOne(
  desk: Desk,
  of: { incident: IncidentRecord | undefined; person: Person; resolve: (asked: AskedToResolve) => void },
): string {
  const { incident, person, resolve } = of;
  if (incident === undefined) return 'There is no such incident.';
  if (isOver(incident)) return 'This incident is over.';
  const firing = incident.members.filter(({ status }) => status === 'firing').slice(0, maximumAsked);
  const fingerprints = firing.map(({ fingerprint }) => fingerprint);
  desk.journal('incident', incident.id, { event: 'resolve-asked', by: person.id });
  desk.afterCommit(() => resolve({ person, incident: incident.id, fingerprints }));
  return 'Sentinel is asked; it says here what it ended.';
}

/** Sentinel knows what others reported and ends only that; what it says goes where it was asked for. */
export async function askToResolve(
  { bus, desk, clock }: { bus: Bus; desk: Desk; clock: Clock },
  { person, incident, fingerprints }: AskedToResolve,
  channel: string,
): Promise<void> {
  const limit = { clock, ms: answerMs, late: `Cannot resolve ${incident}: sentinel did not answer in time` };
  let text: string;
  try {
    const by = `${person.name} (${person.id})`;
    const answer = await within(limit, (signal) => bus.request('resolve', { fingerprints, by }, signal));
    text = `${incident}: ${resolvedText(answer)}`;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    text = error.message;
  }
  desk.transact(() => sendText(desk, oneMessage(text), channel));
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
