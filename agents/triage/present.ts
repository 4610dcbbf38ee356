import { randomUUID } from 'node:crypto';
import type { Button, Card } from './channel.ts';
import { buildCard, buildRequestCard } from './card.ts';
import type { Desk } from './desk.ts';
import type { IncidentRecord } from './incident/incident.ts';
import type { PlanFacts } from './plans/plan-state.ts';
import { obstacleOf } from './plans/obstacle.ts';

/** The card of an incident from what the store knows now. */
export function presentIncident(desk: Desk, incident: IncidentRecord): Card {
  const assessed = incident.assessedRoot === undefined ? undefined : desk.store.incidents.assessment(incident.id);
  return buildCard({
    incident,
    root: desk.store.findings.newest(incident.root)?.finding,
    assessment: assessed?.assessment,
    planned: planFacts(desk, incident.fix.plan),
    obstacle: obstacleOf(desk),
    token: tokensOf(desk, incident.id),
    timeZone: desk.config.digest.timezone,
    now: desk.now,
  });
}

export function planFacts(desk: Desk, id: string | undefined): PlanFacts | undefined {
  const plan = id === undefined ? undefined : desk.store.plans.plan(id);
  if (plan === undefined) return undefined;
  return { plan, approval: desk.store.plans.approvalOf(plan.id), run: desk.store.plans.runOfPlan(plan.id) };
}

function tokensOf(desk: Desk, subject: string): (action: Button['action'], plan?: string) => string {
  return (action, plan = '') => desk.store.tokens.tokenFor({ action, incident: subject, plan }, desk.now);
}

/** The card of a run that a person asked for; its subject is the proposal. Nothing for plans that others asked for. */
export function showRequest(desk: Desk, planId: string): void {
  const facts = planFacts(desk, planId);
  if (facts === undefined || facts.plan.incident !== undefined) return;
  const proposal = desk.store.plans.proposal(facts.plan.proposal);
  if (proposal === undefined) return;
  const card = buildRequestCard({
    ...facts,
    by: proposal.by,
    obstacle: obstacleOf(desk),
    token: tokensOf(desk, proposal.id),
    timeZone: desk.config.digest.timezone,
    now: desk.now,
  });
  desk.outbox.card(proposal.id, { type: 'card', card, silent: desk.outbox.hasCard(proposal.id) });
}

/** Draws the card anew on which a plan stands: that of its incident, or of whoever asked for it. */
export function redraw(desk: Desk, plan: { id: string; incident?: string | undefined }): void {
  const { id, incident } = plan;
  if (incident !== undefined && desk.world.incident(incident) !== undefined) desk.dirty.add(incident);
  else showRequest(desk, id);
}

/** A channel has room for about four thousand characters, and may add some of its own. */
export function oneMessage(text: string): string {
  return text.length <= 3_900 ? text : `${text.slice(0, 3_900)}\n(cut)`;
}

/** Sends a text to one channel, once, cut to what fits. */
export function sendText(desk: Desk, text: string, channel: string): void {
  desk.outbox.notice(randomUUID(), { type: 'notice', text: oneMessage(text), silent: true }, { channel });
}
