import { randomUUID } from 'node:crypto';
import type { Parameters } from '#bus/fields.ts';
import type { Assessment } from '#bus/messages/assessment.ts';
import type { Plan } from '#bus/messages/plan.ts';
import type { Proposal } from '#bus/messages/proposal.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import type { Catalogue } from '#playbooks/playbook.ts';
import type { Desk } from '../desk.ts';
import type { IncidentRecord } from '../incident/incident.ts';
import { targetsOf } from './target.ts';

/** A playbook that did not fix a target is not proposed for it again so soon; a person may still ask for it. */
export const blockMs = 24 * 60 * 60_000;
const maximumFindings = 50;

export interface ProposalDraft {
  playbook: string;
  parameters: Parameters;
  hosts: string[];
}

/** Turns an opinion into a proposal, when it names what may be done and was not tried in vain already. */
export function proposeFrom(desk: Desk, assessment: Assessment, catalogue: Catalogue): void {
  const incident = desk.world.incident(assessment.incident);
  const draft = assessment.proposal;
  if (incident === undefined || incident.state !== 'open' || draft === undefined) return;
  const refusal = whyNot(desk, incident, { draft, catalogue });
  if (refusal === undefined) propose(desk, { draft, incident, by: `triage:${assessment.source}` });
  else desk.change(incident.id, { type: 'noted', text: `Not proposed: ${refusal}` });
}

function whyNot(
  desk: Desk,
  incident: IncidentRecord,
  { draft, catalogue }: { draft: ProposalDraft; catalogue: Catalogue },
): string | undefined {
  if (catalogue.get(draft.playbook) === undefined) return `there is no playbook "${draft.playbook}"`;
  const stranger = draft.hosts.find((host) => desk.inventory.nodes.get(host)?.type !== 'host');
  if (stranger !== undefined) return `there is no host "${stranger}"`;
  const since = desk.now - blockMs;
  const targets = targetsOf(draft.hosts, draft.parameters);
  if (desk.store.incidents.isBlocked(draft.playbook, targets, { incident: incident.id, since })) {
    return `"${draft.playbook}" did not fix ${targets.join(', ')}`;
  }
  const current = incident.fix.plan === undefined ? undefined : desk.store.plans.plan(incident.fix.plan);
  const isBusy =
    current?.status === 'pending' || (incident.fix.run !== undefined && incident.fix.outcome === undefined);
  return isBusy || desk.store.plans.hasProposal(incident.id) ? 'another plan is under way' : undefined;
}

/** Stores a proposal; it is sent, and sent again, until a plan for it is seen. */
export function propose(
  desk: Desk,
  what: { draft: ProposalDraft; incident?: IncidentRecord | undefined; by: string },
): Proposal {
  const { draft, incident, by } = what;
  const firing = incident?.members.filter((member) => member.status === 'firing') ?? [];
  const proposal: Proposal = {
    id: randomUUID(),
    ...(incident !== undefined && { incident: incident.id }),
    ...draft,
    findings: firing.slice(0, maximumFindings).map((member) => member.fingerprint),
    by: by.slice(0, 120),
    at: toInstant(desk.now),
  };
  desk.store.plans.saveProposal(proposal, desk.now);
  desk.journal('proposal', proposal.id, {
    playbook: draft.playbook,
    hosts: draft.hosts,
    by,
    incident: incident?.id ?? null,
  });
  return proposal;
}

/** Asks for the same again, after the plan expired or was withdrawn. */
export function proposeAgain(desk: Desk, plan: Plan, by: string): void {
  const before = desk.store.plans.proposal(plan.proposal);
  const draft = before ?? draftOf(plan);
  if (draft === undefined) return;
  const { playbook, parameters, hosts } = draft;
  const incident = plan.incident === undefined ? undefined : desk.world.incident(plan.incident);
  propose(desk, { draft: { playbook, parameters, hosts }, incident, by });
}

function draftOf(plan: Plan): ProposalDraft | undefined {
  if (plan.body === undefined) return undefined;
  const { playbook, parameters, hosts } = plan.body;
  return { playbook, parameters, hosts: hosts.map(({ host }) => host) };
}
