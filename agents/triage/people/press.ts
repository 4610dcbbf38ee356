import type { Signer } from '#bus/keys.ts';
import type { Plan } from '#bus/messages/plan.ts';
import type { People, Role } from '#config/people.ts';
import { decidePlan } from '../plans/approval.ts';
import type { Button, Person } from '../channel.ts';
import type { Desk } from '../desk.ts';
import type { IncidentRecord } from '../incident/incident.ts';
import { canAskAgain, isExpired } from '../plans/plan-state.ts';
import { proposeAgain } from '../plans/propose.ts';
import { detailsText } from '../details.ts';
import { planFacts, sendText } from '../present.ts';
import type { Token } from '../store/tokens.ts';
import { acknowledge, snooze, snoozeMs } from './attend.ts';

interface PressOptions {
  desk: Desk;
  people: People;
  signer: Signer;
  /** Asks the worker for a dry run of a plan and sends the answer to the channel. */
  dryRun: (plan: string, channel: string) => void;
}

const needs: Record<Button['action'], Role> = {
  approve: 'approver',
  reject: 'approver',
  'dry-run': 'approver',
  'ask-again': 'approver',
  acknowledge: 'operator',
  snooze: 'operator',
  details: 'reader',
};

/** What a pressed button does, answered in words. The press of somebody who may not changes nothing and is journaled. */
export function pressButton(options: PressOptions, press: { person: Person; channel: string; token: string }): string {
  const { desk, people } = options;
  const { person } = press;
  return desk.transact(() => {
    const meaning = desk.store.tokens.meaningOf(press.token);
    const role = meaning === undefined ? 'reader' : needs[meaning.action];
    if (!people.may(person.id, role)) {
      const what = meaning?.action ?? 'press buttons';
      desk.journal('refused', meaning?.incident ?? 'button', { by: person.id, action: what, channel: press.channel });
      return `You may not ${what}.`;
    }
    if (meaning === undefined) return 'This button is not known any more.';
    return act(options, { ...press, meaning });
  });
}

interface Act {
  person: Person;
  channel: string;
  meaning: Token;
}

function act(options: PressOptions, { person, channel, meaning }: Act): string {
  const { desk } = options;
  const plan = meaning.plan === '' ? undefined : desk.store.plans.plan(meaning.plan);
  const incident = desk.world.incident(meaning.incident);
  switch (meaning.action) {
    case 'approve':
    case 'reject':
      return decidePlan(plan, { ...options, person, channel, subject: meaning.incident, decision: meaning.action });
    case 'dry-run':
      return askDryRun(options, plan, channel);
    case 'ask-again':
      return askAgain(desk, { plan, incident, person });
    case 'acknowledge':
      return acknowledge(desk, incident, person);
    case 'snooze':
      return snooze(desk, incident, { person, forMs: snoozeMs });
    case 'details':
      if (incident === undefined) return 'This incident is not known any more.';
      sendText(desk, detailsText(desk, incident), channel);
      return 'Details follow.';
    default:
      return meaning.action satisfies never;
  }
}

function askDryRun({ desk, dryRun }: PressOptions, plan: Plan | undefined, channel: string): string {
  if (plan?.status !== 'pending' || isExpired(plan, desk.now)) return 'This plan is not open any more.';
  desk.afterCommit(() => dryRun(plan.id, channel));
  return 'The worker is asked for a dry run.';
}

function askAgain(
  desk: Desk,
  { plan, incident, person }: { plan: Plan | undefined; incident: IncidentRecord | undefined; person: Person },
): string {
  if (plan === undefined || incident?.state !== 'open') return 'This is over; there is nothing to plan.';
  const facts = planFacts(desk, plan.id);
  if (facts === undefined || !canAskAgain(facts, desk.now)) return 'This plan is still open.';
  if (incident.fix.plan !== plan.id || desk.store.plans.hasProposal(incident.id)) {
    return 'A new plan was asked for already.';
  }
  proposeAgain(desk, plan, person.id);
  desk.change(incident.id, { type: 'noted', text: `${person.name} asked for a new plan` });
  return 'A new plan is asked for.';
}
