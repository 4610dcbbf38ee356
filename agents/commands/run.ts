import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import type { Command } from 'commander';
import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import type { Parameters } from '#bus/fields.ts';
import { approval as approvalKind } from '#bus/messages/approval.ts';
import { type Plan, plan as planKind } from '#bus/messages/plan.ts';
import type { Proposal } from '#bus/messages/proposal.ts';
import { type Run, run as runKind } from '#bus/messages/run.ts';
import { signApproval } from '#bus/sign.ts';
import { toInstant } from '../runtime/clock.ts';
import { visibleLine } from '../triage/render/visible.ts';
import { askPerson } from './ask.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { withConsole } from './console.ts';
import { consoleSigner, personHere } from './person.ts';
import { planningOptions, showPlan } from './plan.ts';
import { proposalOf, requestPlan } from './planning.ts';
import { mustBeBelieved } from './trusted.ts';

/** How long an approval that was just given may travel. */
const approvalMs = 60_000;
const resendMs = 5_000;
/** What the broker holds arrives right after the subscription. */
const retainedMs = 5_000;

/** `lares run`: plan, show, ask, run, show what happened. The same path as a tap in Telegram, with the console's key. */
export function addRun(program: Command): void {
  addCommand(program, {
    name: 'run',
    about: 'Plan a playbook, show the exact commands, and run them after you approved',
    arguments: [['<playbook>', 'identity of a playbook']],
    options: [
      ...planningOptions,
      ['--approve <digest>', 'approve, without asking, the plan that was shown with this digest'],
    ],
    run: (context) => withConsole(context, (bus) => planAndRun(bus, context)),
  });
}

async function planAndRun(bus: Bus, context: CommandContext): Promise<number> {
  await mustBeBelieved(bus, context);
  const shown = context.option('approve');
  const asked = proposalOf(context);
  const plan = shown === undefined ? await requestPlan(bus, context, asked) : await waitingPlan(bus, asked, shown);
  if (!context.json) await showPlan(context, plan, asked);
  if (plan.status !== 'pending' || plan.digest === undefined) {
    if (context.json) context.printJson({ plan });
    return exitStatus.wrong;
  }
  const isApproved = await decide(context, plan);
  const ended = await settle(bus, context, { plan, digest: plan.digest, decision: isApproved ? 'approve' : 'reject' });
  if (ended === undefined) {
    context.print('Not approved; nothing ran.');
    return exitStatus.wrong;
  }
  if (context.json) context.printJson({ plan, run: ended });
  else context.print(describe(ended));
  return ended.end === 'succeeded' ? exitStatus.well : exitStatus.wrong;
}

/** The plan that was shown before, which is the only one that has its digest. Throws a Failure when none waits. */
async function waitingPlan(bus: Bus, asked: Proposal, digest: string): Promise<Plan> {
  const { promise, resolve, reject } = Promise.withResolvers<Plan>();
  bus.subscribe(planKind, (plan) => {
    if (plan.digest === digest && plan.status === 'pending') resolve(plan);
  });
  const patience = setTimeout(() => {
    reject(new Failure(`Cannot run: no plan with the digest "${digest}" waits for approval`, { recoverable: false }));
  }, retainedMs);
  try {
    const plan = await promise;
    if (isSame(asked, plan)) return plan;
    throw new Failure(`Cannot run: the plan with the digest "${digest}" is "${plan.title}", not what was asked for`, {
      recoverable: false,
    });
  } finally {
    clearTimeout(patience);
  }
}

function isSame({ playbook, hosts, parameters }: Proposal, { body }: Plan): boolean {
  return (
    body?.playbook === playbook &&
    isDeepStrictEqual(body.hosts.map(({ host }) => host).toSorted(), [...new Set(hosts)].toSorted()) &&
    Object.entries(parameters).every(([name, value]) => isAlike(body.parameters[name], value))
  );
}

/** A plan holds a unit with its suffix and a path without a slash at its end. */
function isAlike(planned: Parameters[string] | undefined, asked: Parameters[string]): boolean {
  return [`${asked}`, `${asked}.service`, `${asked}`.replace(/\/$/, '')].includes(`${planned}`);
}

async function decide(context: CommandContext, plan: Plan): Promise<boolean> {
  if (context.option('approve') !== undefined) return true;
  if (!process.stdin.isTTY || context.json) {
    throw new Failure(`Cannot ask for approval here; repeat with --approve ${plan.digest}`, { recoverable: false });
  }
  const answer = await askPerson('Type "approve" to run exactly this: ', context.signal);
  return answer?.trim() === 'approve';
}

interface Decision {
  plan: Plan;
  digest: string;
  decision: 'approve' | 'reject';
}

/** Sends the signed decision until its effect is seen, and follows the run to its end. */
async function settle(bus: Bus, context: CommandContext, decided: Decision): Promise<Run | undefined> {
  const now = Date.now();
  const signer = consoleSigner(context);
  const { username } = userInfo();
  const signed = signApproval(
    {
      id: randomUUID(),
      plan: decided.plan.id,
      digest: decided.digest,
      decision: decided.decision,
      approver: personHere(),
      name: username,
      proof: { kind: 'tap' },
      decidedAt: toInstant(now),
      expiresAt: toInstant(now + approvalMs),
    },
    signer,
  );
  if (decided.decision === 'reject') {
    bus.publish(approvalKind, signed);
    await bus.flush(AbortSignal.timeout(resendMs));
    return undefined;
  }
  const ended = following(bus, context, decided.plan);
  bus.publish(approvalKind, signed);
  const again = setInterval(() => Date.now() < now + approvalMs && bus.publish(approvalKind, signed), resendMs);
  try {
    return await ended;
  } finally {
    clearInterval(again);
  }
}

/** The end of the plan's run. Throws a Failure when none began while the approval counted. */
function following(bus: Bus, context: CommandContext, plan: Plan): Promise<Run> {
  return new Promise((resolve, reject) => {
    let shown = 0;
    const late = new Failure('Cannot run: the worker did not take the approval in time', { recoverable: true });
    const patience = setTimeout(() => reject(late), approvalMs);
    bus.subscribe(runKind, (run) => {
      if (run.plan !== plan.id) return;
      clearTimeout(patience);
      const done = run.steps.filter((step) => !['waiting', 'running'].includes(step.status));
      if (!context.json)
        for (const step of done.slice(shown))
          context.print(`  ${step.status}: ${step.host}$ ${visibleLine(step.command)}`);
      shown = done.length;
      if (run.end !== undefined) resolve(run);
    });
    context.signal.addEventListener('abort', () => {
      clearTimeout(patience);
      reject(new Failure('Stopped watching; the run goes on and is written down', { recoverable: true }));
    });
  });
}

function describe(run: Run): string {
  const reason = run.reason === undefined ? '' : `: ${visibleLine(run.reason)}`;
  return `Run ${run.id} ${run.end}${reason}`;
}
