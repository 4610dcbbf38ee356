import { randomUUID } from 'node:crypto';
import type { Signer } from '#bus/keys.ts';
import type { Plan } from '#bus/messages/plan.ts';
import { signApproval } from '#bus/sign.ts';
import type { People } from '#config/people.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { frozenBy } from '../freeze.ts';
import type { Person } from '../channel.ts';
import type { Desk } from '../desk.ts';
import { showRequest } from '../present.ts';
import { isExpired, isForNothing } from './plan-state.ts';

/** The worker has so long to see an approval; after that a person must look again. */
const approvalLifeMs = 15 * 60_000;

export interface Decision {
  desk: Desk;
  people: People;
  signer: Signer;
  person: Person;
  /** Where the button was pressed: only what this channel has shown whole may be approved on it. */
  channel: string;
  /** Incident, or the proposal of a run that a person asked for: whose card it was. */
  subject: string;
  decision: 'approve' | 'reject';
}

/**
 * One person's decision on one plan, signed and stored, or the reason why not in words for that person. The first
 * decision counts. It is sent until a run, or the plan's end, is seen.
 */
export function decidePlan(plan: Plan | undefined, options: Decision): string {
  const { desk, person, decision } = options;
  const refusal = whyNot(plan, options);
  if (refusal !== undefined || plan?.digest === undefined) {
    const why = refusal ?? 'There is no such plan any more.';
    desk.journal('decision-refused', plan?.id ?? options.subject, { by: person.id, decision, why });
    return why;
  }
  const { now } = desk;
  const unsigned = {
    id: randomUUID(),
    plan: plan.id,
    digest: plan.digest,
    decision,
    approver: person.id,
    name: person.name,
    proof: { kind: 'tap' as const },
    decidedAt: toInstant(now),
    expiresAt: toInstant(Math.min(now + approvalLifeMs, Date.parse(plan.expiresAt))),
  };
  desk.store.plans.saveApproval(signApproval(unsigned, options.signer), now);
  desk.journal('decision', plan.id, { by: person.id, decision, digest: plan.digest, channel: options.channel });
  const verb = decision === 'approve' ? 'Approved' : 'Rejected';
  if (plan.incident === undefined) showRequest(desk, plan.id);
  else desk.change(plan.incident, { type: 'noted', text: `${verb} by ${unsigned.name}` });
  return decision === 'approve' ? 'Approved. The worker checks everything again and runs it.' : 'Rejected.';
}

function whyNot(plan: Plan | undefined, options: Decision): string | undefined {
  const { desk, people, person, decision } = options;
  if (!people.may(person.id, 'approver')) return `You may not ${decision} plans.`;
  if (plan === undefined) return 'There is no such plan any more.';
  const earlier = desk.store.plans.approvalOf(plan.id);
  if (earlier !== undefined) {
    return `Already ${earlier.decision === 'approve' ? 'approved' : 'rejected'} by ${earlier.name}.`;
  }
  if (isExpired(plan, desk.now)) return 'This plan has expired. Ask for it again.';
  if (plan.status !== 'pending') return `Too late: this plan was ${plan.status}.`;
  if (isForNothing(desk, plan.incident)) return 'This is over; its plan is being withdrawn.';
  if (decision === 'reject') return undefined;
  return whyNotApprove(plan, options);
}

function whyNotApprove(plan: Plan, { desk, channel, subject }: Decision): string | undefined {
  if (plan.proof !== 'tap') return `This plan needs a stronger proof than a tap: ${plan.proof}.`;
  if (desk.outbox.shownPlan(channel, subject) !== plan.id) {
    return 'The commands of this plan have not been shown here whole yet, so it cannot be approved here.';
  }
  return frozenBy(desk) === undefined ? undefined : 'Remediation is frozen. Unfreeze it first.';
}
