import type { Approval } from '#bus/messages/approval.ts';
import type { Desk } from '../desk.ts';
import { isSilenced } from '../notify/notify.ts';
import { redraw } from '../present.ts';
import { obstacleOf } from './obstacle.ts';

/** Approvals whose time went by: people are told, and the plan may be decided anew. Call at each tick. */
export function tellUnheard(desk: Desk): void {
  for (const approval of desk.store.plans.takeUnheard(desk.now)) tellOne(desk, approval);
}

function tellOne(desk: Desk, { id, plan, decision, approver, name }: Approval): void {
  const planned = desk.store.plans.plan(plan);
  const incident = planned?.incident === undefined ? undefined : desk.world.incident(planned.incident);
  const why = obstacleOf(desk) ?? 'nothing is known of why';
  const never = `The worker never took the ${decision === 'approve' ? 'approval' : 'rejection'} of ${name}`;
  redraw(desk, { id: plan, incident: incident?.id });
  // The news of a card are lines; the command that mends it stands in the notice.
  if (incident !== undefined) desk.change(incident.id, { type: 'noted', text: `${never}: ${why.split('\n')[0]}` });
  desk.journal('approval-unheard', plan, { approval: id, by: approver, why });
  const title = incident?.title ?? planned?.title ?? plan;
  const text = `Not run: ${title}\n${never}: ${why}\nIt can be decided again; a plan runs at most once.`;
  const silent = incident !== undefined && isSilenced(incident, desk.config.triage, desk.now);
  desk.outbox.notice(`unheard:${id}`, { type: 'notice', text, silent });
}
