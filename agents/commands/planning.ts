import { randomUUID } from 'node:crypto';
import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import type { Parameters } from '#bus/fields.ts';
import { type Plan, type PlanBody, plan as planKind, type PlannedProbe, type PlannedStep } from '#bus/messages/plan.ts';
import { type Proposal, proposal as proposalKind } from '#bus/messages/proposal.ts';
import { toInstant } from '../runtime/clock.ts';
import { commandText } from '../triage/card.ts';
import { exactLine, visibleLine } from '../triage/render/visible.ts';
import type { CommandContext } from './command.ts';
import { personHere } from './person.ts';

/** How long the worker may take to look at the hosts and render. */
const planMs = 60_000;
const resendMs = 5_000;

/** What the command line asks for. Throws a Failure for a parameter without "=". */
export function proposalOf(context: CommandContext): Proposal {
  const hosts = context.options('host');
  if (hosts.length === 0) throw new Failure('Cannot plan: name at least one --host', { recoverable: false });
  return {
    id: `console-${randomUUID()}`,
    playbook: context.arguments[0] ?? '',
    parameters: parametersOf(context.options('parameter')),
    hosts: [...hosts],
    findings: [],
    by: personHere(),
    at: toInstant(Date.now()),
  };
}

function parametersOf(assignments: readonly string[]): Parameters {
  const pairs = assignments.map((assignment) => {
    const [name, ...rest] = assignment.split('=');
    if (name === undefined || rest.length === 0) {
      throw new Failure(`Cannot plan: "${assignment}" is not name=value`, { recoverable: false });
    }
    const value = rest.join('=');
    return [name, /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value] as const;
  });
  return Object.fromEntries(pairs);
}

/** Proposes until the worker has rendered the plan or said why not. */
export async function requestPlan(bus: Bus, context: CommandContext, proposal: Proposal): Promise<Plan> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(planMs)]);
  const answered = new Promise<Plan>((resolve, reject) => {
    bus.subscribe(planKind, (plan) => {
      if (plan.proposal === proposal.id) resolve(plan);
    });
    signal.addEventListener('abort', () => {
      reject(new Failure('Cannot plan: remediation does not answer', { recoverable: true, cause: signal.reason }));
    });
  });
  bus.publish(proposalKind, proposal);
  const again = setInterval(() => bus.publish(proposalKind, proposal), resendMs);
  try {
    return await answered;
  } finally {
    clearInterval(again);
  }
}

/** Everything that an approval allows, in the order in which it runs. */
function commandLines({ preconditions, condition, steps, verification, rollback }: PlanBody): string[] {
  const command = (step: PlannedStep): string => exactLine(commandText(step));
  const look = (probe: PlannedProbe): string => `to look, ${command(probe)}   (${visibleLine(probe.states)})`;
  return [
    ...[...preconditions, ...condition].map(look),
    ...steps.map(command),
    ...verification.map(look),
    ...rollback.map((step) => `to undo, ${command(step)}`),
  ];
}

/** A plan for a person: every command whole, where it runs, and the digest that an approval is bound to. */
export function printPlan(context: CommandContext, plan: Plan): void {
  context.print(`${visibleLine(plan.title)} (${visibleLine(plan.playbook)}, risk ${plan.risk})`);
  if (plan.reason !== undefined) context.print(`  ${plan.status}: ${visibleLine(plan.reason)}`);
  if (plan.body !== undefined) for (const line of commandLines(plan.body)) context.print(`  ${line}`);
  if (plan.body === undefined) return;
  if (plan.blastRadius.length > 0) context.print(`  hangs on it: ${visibleLine(plan.blastRadius.join(', '))}`);
  if (plan.digest !== undefined) context.print(`  plan ${plan.id}, digest ${plan.digest}, until ${plan.expiresAt}`);
}
