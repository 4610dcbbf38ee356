import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { digestOf } from '#bus/canonical.ts';
import { Failure } from '#bus/failure.ts';
import type { Parameters } from '#bus/fields.ts';
import { type Plan, type PlanBody, plan as planKind, type Risk } from '#bus/messages/plan.ts';
import type { Proposal } from '#bus/messages/proposal.ts';
import { encode } from '#bus/message.ts';
import type { AgentContext } from '#agents/runtime/agent.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { loadCatalogue } from '#playbooks/catalogue.ts';
import { checkParameters } from '#playbooks/parameters.ts';
import type { Catalogue, Playbook } from '#playbooks/playbook.ts';
import { renderText } from '#playbooks/render.ts';
import { blockedWords } from './admit.ts';
import { renderBody, type Target } from './commands.ts';
import type { FindingBook } from './findings.ts';
import { guardProbes } from './guard-probes.ts';
import { protectedUnits, protectionOf } from './protected.ts';
import type { Reach } from './reach.ts';
import type { RemediationStore } from './store.ts';
import { targetsOf } from './targets.ts';

export interface PlannerContext {
  context: Pick<AgentContext, 'config' | 'baseFolder' | 'inventory' | 'clock'>;
  store: RemediationStore;
  reach: Reach;
  findings: FindingBook;
}

/** A playbook made concrete. `playbook` is what the file says now. */
export type Rendered =
  | { ok: true; body: PlanBody; playbook: Playbook; isShipped: boolean }
  | { ok: false; reason: string };

const proofOf: Record<Risk, Plan['proof']> = { low: 'tap', medium: 'tap', high: 'code', critical: 'passkey' };

/**
 * One proposal has one plan, also when both are made twice. The worker is part of it, and the id is part of what is
 * approved: of two workers that hear the same approval only the one whose plan was shown knows it.
 */
export function planIdOf(worker: string, proposal: string): string {
  return `plan-${createHash('sha256').update(`${worker}\0${proposal}`).digest('hex').slice(0, 16)}`;
}

/** Makes the plan that answers a proposal, or one that says why not. Asks the hosts; rejects only when aborted. */
export async function makePlan(
  by: PlannerContext,
  proposal: Proposal,
  signal: AbortSignal,
): Promise<{ plan: Plan; alertnames: string[] }> {
  const alertnames = by.findings.alertnames(proposal.findings);
  const plan = planIdOf(by.store.worker, proposal.id);
  const rendered = await renderProposal(by, { ...proposal, plan, alertnames });
  if (!rendered.ok) return { plan: refusedPlan(by, proposal, rendered.reason), alertnames };
  const { body, playbook } = rendered;
  const described: Omit<Plan, 'status'> = {
    ...baseOf(by, proposal),
    title: renderText(playbook.title, body.parameters).slice(0, 600),
    risk: playbook.risk,
    proof: proofOf[playbook.risk],
    history: historyOf(by.store, playbook, body),
  };
  const reason =
    refusalOf(by, playbook, body) ?? (await guardProbes(lookable(by.store, rendered), { reach: by.reach, signal }));
  if (reason !== undefined)
    return { plan: { ...described, status: 'refused', reason: reason.slice(0, 4_000) }, alertnames };
  return { plan: fitting({ ...described, status: 'pending', body, digest: digestOf(body) }), alertnames };
}

/** The answer to a proposal that nothing is planned for. */
export function refusedPlan(by: Pick<PlannerContext, 'context' | 'store'>, proposal: Proposal, reason: string): Plan {
  return { ...baseOf(by, proposal), status: 'refused', reason: reason.slice(0, 4_000) };
}

/**
 * What may be looked at before anybody approved: the probes of playbooks that ship, and of a person's own once one of
 * its plans was approved. Else who may write a playbook could run any command as a probe. After the approval all run.
 */
function lookable(
  store: RemediationStore,
  { body, playbook, isShipped }: Extract<Rendered, { ok: true }>,
): Pick<PlanBody, 'preconditions' | 'condition' | 'hosts'> {
  if (isShipped || store.runs.wasApproved(body.playbookDigest)) return body;
  const ours = body.preconditions.length - playbook.preconditions.length * body.hosts.length;
  return { hosts: body.hosts, preconditions: body.preconditions.slice(0, ours), condition: [] };
}

/** The same from the same: used for the plan and again at the tap, when the digest must come out the same. */
export async function renderProposal(
  by: Pick<PlannerContext, 'context' | 'reach'>,
  input: {
    plan: string;
    playbook: string;
    parameters: Parameters;
    hosts: readonly string[];
    alertnames: readonly string[];
  },
): Promise<Rendered> {
  const { baseFolder, config } = by.context;
  const { remediation } = config;
  const own = remediation.playbooks;
  // Read anew each time: an edited playbook is another playbook, and its plans are void.
  const catalogue = await loadCatalogue(own === undefined ? undefined : resolve(baseFolder, own));
  const playbook = catalogue.get(input.playbook);
  if (playbook === undefined) return { ok: false, reason: unknownPlaybook(catalogue, input.playbook) };
  const checked = checkParameters(playbook, input.parameters, { freePaths: remediation.freePaths });
  if (!checked.ok) return { ok: false, reason: checked.faults.join('; ') };
  const targets = targetsFor(by.reach, playbook, input.hosts);
  if (!Array.isArray(targets)) return targets;
  const rules = protectedUnits(remediation.protectedUnits);
  const guarded = protectedIn(playbook, checked.parameters, rules);
  if (guarded !== undefined) return { ok: false, reason: guarded };
  try {
    const body = renderBody({
      plan: input.plan,
      playbook,
      playbookDigest: catalogue.digestOf(playbook.id),
      parameters: checked.parameters,
      targets,
      alertnames: input.alertnames,
      protectedUnits: rules,
    });
    return { ok: true, body, playbook, isShipped: catalogue.isShipped(playbook.id) };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { ok: false, reason: error.message };
  }
}

function unknownPlaybook(catalogue: Catalogue, id: string): string {
  const [fault] = catalogue.faults;
  const hint = fault === undefined ? '' : `; "${fault.file}" line ${fault.line} is left out: ${fault.message}`;
  return `there is no playbook "${id}"${hint}`;
}

function targetsFor(
  reach: Reach,
  playbook: Playbook,
  hosts: readonly string[],
): Target[] | { ok: false; reason: string } {
  const names = [...new Set(hosts)].toSorted();
  if (names.length > playbook.limits.targets) {
    return { ok: false, reason: `"${playbook.id}" is for at most ${playbook.limits.targets} hosts at once` };
  }
  const targets: Target[] = [];
  for (const name of names) {
    const reached = reach.target(name);
    if (!reached.ok) return reached;
    targets.push(reached.target);
  }
  return targets;
}

function protectedIn(playbook: Playbook, parameters: Parameters, rules: readonly string[]): string | undefined {
  for (const [name, { type }] of Object.entries(playbook.parameters)) {
    const unit = String(parameters[name]);
    const rule = type === 'unit' ? protectionOf(unit, rules) : undefined;
    if (rule !== undefined) return `${unit} is protected by "${rule}": no playbook touches it`;
  }
  return undefined;
}

/** What the record says against it. */
function refusalOf(by: PlannerContext, playbook: Playbook, body: PlanBody): string | undefined {
  if (proofOf[playbook.risk] !== 'tap') {
    return `a playbook of risk "${playbook.risk}" needs a stronger proof than a tap, which cannot be checked yet`;
  }
  for (const { target } of targetsOf(playbook, hostsOf(body), body.parameters)) {
    const block = by.store.guards.blockOf(playbook.id, target);
    if (block !== undefined) return blockedWords(block);
  }
  return undefined;
}

export function hostsOf(body: PlanBody): string[] {
  return body.hosts.map(({ host }) => host);
}

function baseOf(
  { context, store }: Pick<PlannerContext, 'context' | 'store'>,
  proposal: Proposal,
): Omit<Plan, 'status'> {
  const { clock, config, inventory } = context;
  const now = clock.now();
  const dependents = [...new Set(proposal.hosts.flatMap((host) => inventory.dependents(host)))];
  return {
    id: planIdOf(store.worker, proposal.id),
    proposal: proposal.id,
    ...(proposal.incident !== undefined && { incident: proposal.incident }),
    findings: proposal.findings,
    title: `Run ${proposal.playbook}`,
    playbook: proposal.playbook,
    risk: 'medium',
    proof: 'tap',
    blastRadius: dependents.filter((name) => !proposal.hosts.includes(name)).slice(0, 50),
    history: [],
    createdAt: toInstant(now),
    expiresAt: toInstant(now + config.remediation.planExpiry),
  };
}

function historyOf(store: RemediationStore, playbook: Playbook, body: PlanBody): string[] {
  return targetsOf(playbook, hostsOf(body), body.parameters)
    .flatMap(({ target }) => store.runs.recent({ playbook: playbook.id, target, since: 0 }).slice(0, 5))
    .toSorted((a, b) => b.claimedAt - a.claimedAt)
    .slice(0, 5)
    .map(
      ({ head, claimedAt, verdict }) =>
        `${toInstant(claimedAt)} ${head.end ?? head.status}, ${verdict ?? 'no verdict'}`,
    );
}

/** A plan that no message can hold would never be shown, so it is none. */
function fitting(plan: Plan): Plan {
  try {
    encode(planKind, plan);
    return plan;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { body: _, digest: __, ...rest } = plan;
    return { ...rest, status: 'refused', reason: 'the plan is too large to be shown whole; take fewer hosts' };
  }
}
