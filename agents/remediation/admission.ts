import { digestOf } from '#bus/canonical.ts';
import type { Approval } from '#bus/messages/approval.ts';
import type { Plan, PlanBody } from '#bus/messages/plan.ts';
import type { Run } from '#bus/messages/run.ts';
import { type TrustedKeys, verifyApproval } from '#bus/sign.ts';
import { formatDuration } from '#config/duration.ts';
import type { AgentContext } from '#agents/runtime/agent.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import type { Playbook } from '#playbooks/playbook.ts';
import { admit, admitRejection, type AdmissionFacts } from './admit.ts';
import type { Board } from './board.ts';
import type { FreezeGate } from './freeze-gate.ts';
import { hostsOf, type Rendered, renderProposal } from './plan.ts';
import type { Reach } from './reach.ts';
import { type Runs, runIdOf } from './runs.ts';
import type { RemediationStore } from './store.ts';
import type { StoredPlan } from './store/plans.ts';
import { machineOf, resourcesOf, targetsOf } from './targets.ts';

export interface AdmissionContext {
  context: Pick<AgentContext, 'config' | 'baseFolder' | 'inventory' | 'clock' | 'people' | 'log'>;
  store: RemediationStore;
  reach: Reach;
  board: Board;
  freeze: FreezeGate;
  runs: Runs;
  /** Read at each approval: a signer may have been set up after the start. */
  trustedKeys: () => TrustedKeys;
}

/** Judges one stored approval and, when every guard agrees, starts its run. Deciding twice is the same as once. */
export async function decide(by: AdmissionContext, approval: Approval): Promise<void> {
  const stored = by.store.plans.plan(approval.plan);
  const rendered = stored === undefined ? unplanned : await renderAgain(by, stored);
  // From here to the claim nothing waits, so what the guards saw is what is true when the plan is taken.
  if (by.store.runs.runOfPlan(approval.plan) !== undefined) {
    by.store.plans.endApproval(approval.id, 'the plan has its run already');
    by.board.run(runIdOf(approval.plan));
    return;
  }
  const facts = gather(by, approval, rendered);
  if (approval.decision === 'reject') {
    reject(by, approval, facts);
    return;
  }
  const admission = admit(approval, facts);
  const body = facts.plan?.body;
  if (admission.admitted && facts.plan !== undefined && body !== undefined && rendered.ok) {
    const admitted = { plan: facts.plan, body, playbook: rendered.playbook, approval };
    if (by.runs.claim(admitted)) by.runs.begin(admitted);
    return;
  }
  refuse(by, approval, admission.admitted ? { rule: 'plan', reason: 'the plan has no commands' } : admission);
}

const unplanned: Rendered = { ok: false, reason: 'there is no such plan' };

async function renderAgain(by: AdmissionContext, { plan, alertnames }: StoredPlan): Promise<Rendered> {
  if (plan.body === undefined) return { ok: false, reason: plan.reason ?? 'it has no commands' };
  const { parameters, playbook } = plan.body;
  return await renderProposal(by, { plan: plan.id, playbook, parameters, hosts: hostsOf(plan.body), alertnames });
}

function gather(by: AdmissionContext, approval: Approval, rendered: Rendered): AdmissionFacts {
  const { clock, config, people } = by.context;
  const plan = by.store.plans.plan(approval.plan)?.plan;
  const { brake } = config.remediation;
  return {
    now: clock.now(),
    freeze: by.freeze.state,
    isSigned: verifyApproval(approval, by.trustedKeys()),
    plan,
    storedDigest: plan?.body && digestOf(plan.body),
    rendered: rendered.ok ? { ok: true, digest: digestOf(rendered.body) } : rendered,
    mayApprove: people.may(approval.approver, 'approver'),
    brake: { runs: brake.runs, within: formatDuration(brake.within) },
    ...record(by, plan, rendered.ok ? rendered.playbook : undefined),
  };
}

/** What has been done to the targets before. */
function record(
  { store, context }: AdmissionContext,
  plan: Plan | undefined,
  playbook: Playbook | undefined,
): Pick<AdmissionFacts, 'locks' | 'recentRuns' | 'restsUntil' | 'blocks'> {
  if (plan?.body === undefined || playbook === undefined)
    return { locks: [], recentRuns: 0, restsUntil: 0, blocks: [] };
  const now = context.clock.now();
  const { within } = context.config.remediation.brake;
  const { id, limits } = playbook;
  const targets = targetsOf(playbook, hostsOf(plan.body), plan.body.parameters);
  const recent = (since: number) => targets.map(({ target }) => store.runs.recent({ playbook: id, target, since }));
  const claims = recent(now - limits.cooldown)
    .flat()
    .map(({ claimedAt }) => claimedAt + limits.cooldown);
  return {
    locks: locksOn(store, plan.body),
    recentRuns: Math.max(
      0,
      ...recent(now - within).map((runs) => runs.length),
      ...resourcesOf(plan.body).map((resource) => store.runs.countOn(resource, now - within)),
    ),
    restsUntil: limits.cooldown === 0 ? 0 : Math.max(0, ...claims),
    blocks: targets.flatMap(({ target }) => store.guards.blockOf(id, target) ?? []),
  };
}

/** By name and by machine: an inventory may have two names for one, or another name since the run began. */
function locksOn(store: RemediationStore, body: PlanBody): AdmissionFacts['locks'] {
  const held = store.runs.locked().map(({ id, hosts, plan }) => ({
    run: id,
    names: new Set(hosts),
    machines: new Set(store.plans.plan(plan)?.plan.body?.hosts.map(machineOf)),
  }));
  return body.hosts.flatMap((host) => {
    const holder = held.find(({ names, machines }) => names.has(host.host) || machines.has(machineOf(host)));
    return holder === undefined ? [] : [{ host: host.host, run: holder.run }];
  });
}

function reject(by: AdmissionContext, approval: Approval, facts: AdmissionFacts): void {
  const { store, board, context } = by;
  const admission = admitRejection(approval, facts);
  if (!admission.admitted) {
    refuse(by, approval, admission);
    return;
  }
  const at = context.clock.now();
  store.rows.transaction(() => {
    store.plans.decide(approval.plan, { status: 'rejected', reason: `rejected by ${approval.name}`, at });
    store.plans.endApproval(approval.id, 'rejected');
    const { approver } = approval;
    store.journal.append({ at, kind: 'rejection', subject: approval.plan, body: { approver } });
  });
  board.plan(approval.plan);
}

/** The plan stays as it is: whoever may approve it can do so when the reason is gone. */
function refuse(by: AdmissionContext, approval: Approval, refused: { rule: string; reason: string }): void {
  const { store, board, context } = by;
  const { rule, reason } = refused;
  const at = context.clock.now();
  const plan = store.plans.plan(approval.plan)?.plan;
  const run = plan?.body && refusalOf(plan, approval, { reason, at });
  store.rows.transaction(() => {
    store.plans.endApproval(approval.id, `${rule}: ${reason}`);
    const { approver, digest } = approval;
    store.journal.append({ at, kind: 'refusal', subject: approval.plan, body: { rule, reason, approver, digest } });
    if (run !== undefined) store.guards.saveRefusal(run, at);
  });
  context.log.warn({ plan: approval.plan, approval: approval.id, rule, reason }, 'an approval was refused');
  if (run !== undefined) board.refusal(run);
}

/** Told under an id of its own: it is no run, and the plan may still have one. */
function refusalOf(plan: Plan, approval: Approval, why: { reason: string; at: number }): Run {
  const at = toInstant(why.at);
  return {
    id: `${runIdOf(plan.id)}-refused`,
    plan: plan.id,
    ...(plan.incident !== undefined && { incident: plan.incident }),
    playbook: plan.playbook,
    hosts: plan.body === undefined ? [] : hostsOf(plan.body),
    findings: plan.findings,
    status: 'refused',
    end: 'refused',
    reason: why.reason.slice(0, 4_000),
    steps: [],
    approver: approval.approver,
    approval: approval.id,
    endedAt: at,
    updatedAt: at,
  };
}
