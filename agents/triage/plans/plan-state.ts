import type { Approval } from '#bus/messages/approval.ts';
import type { Plan } from '#bus/messages/plan.ts';
import type { Run } from '#bus/messages/run.ts';
import type { Desk } from '../desk.ts';
import { isOver } from '../incident/incident.ts';

/** A plan, how it was decided and what came of it. */
export interface PlanFacts {
  plan: Plan;
  approval: Approval | undefined;
  run: Run | undefined;
}

/** The worker says so, or will: its clock and ours need not agree, so nobody waits for its word. */
export function isExpired(plan: Plan, now: number): boolean {
  return plan.status === 'expired' || (plan.status === 'pending' && Date.parse(plan.expiresAt) <= now);
}

/** It may still be decided, or was approved and has not run. */
export function isOpenPlan({ plan, run }: PlanFacts, now: number): boolean {
  if (plan.body === undefined || run !== undefined || isExpired(plan, now)) return false;
  return plan.status === 'pending' || plan.status === 'approved';
}

/** A person may decide it now. */
export function isDecidable({ plan, approval }: PlanFacts, now: number): boolean {
  return plan.status === 'pending' && approval === undefined && !isExpired(plan, now);
}

/** Nothing ran and nothing will: a person may ask for the same once more. */
export function canAskAgain({ plan, run }: PlanFacts, now: number): boolean {
  return run === undefined ? plan.status === 'withdrawn' || isExpired(plan, now) : run.status === 'refused';
}

/** An incident that is over needs no plan any more; the worker withdraws what it has in a moment. */
export function isForNothing(desk: Desk, incident: string | undefined): boolean {
  if (incident === undefined) return false;
  const known = desk.world.incident(incident);
  return known === undefined || isOver(known);
}
