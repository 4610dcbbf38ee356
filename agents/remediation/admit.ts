import type { Approval } from '#bus/messages/approval.ts';
import type { Freeze } from '#bus/messages/freeze.ts';
import type { Plan } from '#bus/messages/plan.ts';

/** All that is known when an approval is judged, gathered at one moment. */
export interface AdmissionFacts {
  now: number;
  freeze: Freeze | undefined;
  isSigned: boolean;
  /** The worker's own record of the plan. */
  plan: Plan | undefined;
  /** SHA-256 of the stored body, computed now. */
  storedDigest: string | undefined;
  /** The same proposal rendered now, from today's playbook file, inventory and configuration. */
  rendered: { ok: true; digest: string } | { ok: false; reason: string };
  /** By the worker's own policy, not by what the message says. */
  mayApprove: boolean;
  /** Hosts of the plan that another run holds. */
  locks: readonly { host: string; run: string }[];
  /** Runs of the playbook on a target, or of any on the same unit or container, within the brake's time: the most. */
  recentRuns: number;
  brake: { runs: number; within: string };
  /** Epoch ms until which the playbook rests on one of the targets. */
  restsUntil: number;
  blocks: readonly { playbook: string; host: string; reason: string }[];
}

type Admission = { admitted: true } | { admitted: false; rule: string; reason: string };

interface Guard {
  rule: string;
  /** Why not, or undefined. */
  refusal: (approval: Approval, facts: AdmissionFacts) => string | undefined;
}

const identity: readonly Guard[] = [
  {
    rule: 'signature',
    refusal: (_, { isSigned }) => (isSigned ? undefined : 'the signature of the approval is not valid'),
  },
  { rule: 'plan', refusal: (_, { plan }) => planRefusal(plan) },
  {
    rule: 'digest',
    refusal: (approval, { plan, storedDigest }) =>
      approval.digest === plan?.digest && approval.digest === storedDigest
        ? undefined
        : 'what was approved is not what was planned: the digests differ',
  },
];

const policy: readonly Guard[] = [
  {
    rule: 'approver',
    refusal: (approval, { mayApprove }) =>
      mayApprove ? undefined : `"${approval.approver}" may not approve plans here`,
  },
  {
    rule: 'proof',
    refusal: (approval, { plan }) =>
      plan?.proof === approval.proof.kind ? undefined : `this plan needs the proof "${plan?.proof ?? ''}"`,
  },
  {
    rule: 'expiry',
    refusal: (approval, { now, plan }) =>
      Date.parse(approval.expiresAt) > now && plan !== undefined && Date.parse(plan.expiresAt) > now
        ? undefined
        : 'it came too late: the approval or the plan has expired',
  },
];

const guards: readonly Guard[] = [
  {
    rule: 'freeze',
    refusal: (_, { freeze }) =>
      freeze?.frozen === true ? `everything is frozen by ${freeze.by}: ${freeze.reason}` : undefined,
  },
  ...identity,
  { rule: 'rendered', refusal: (approval, { rendered }) => renderedRefusal(approval, rendered) },
  ...policy,
  {
    rule: 'lock',
    refusal: (_, { locks: [lock] }) =>
      lock &&
      `${lock.host} is held by run ${lock.run}, which has not ended for certain; look there, then: lares release ${lock.run}`,
  },
  {
    rule: 'brake',
    refusal: (_, { recentRuns, brake }) =>
      recentRuns >= brake.runs
        ? `restart brake: it ran ${recentRuns} times within ${brake.within} and did not last; a person must look`
        : undefined,
  },
  {
    rule: 'cooldown',
    refusal: (_, { restsUntil, now }) =>
      restsUntil > now ? `the playbook rests on this target until ${new Date(restsUntil).toISOString()}` : undefined,
  },
  {
    rule: 'block',
    refusal: (_, { blocks: [block] }) => block && blockedWords(block),
  },
];

/**
 * Whether an approved plan may run, or by which rule not; the first that refuses is told. Pure. Approval adds
 * permission and takes no guard away; what the hosts say comes after this, see `guard-probes.ts`.
 */
export function admit(approval: Approval, facts: AdmissionFacts): Admission {
  return firstRefusal(guards, approval, facts);
}

/** Whether a rejection counts. It makes nothing run, so only who and what are asked. */
export function admitRejection(approval: Approval, facts: AdmissionFacts): Admission {
  const [approver] = policy;
  return firstRefusal(approver === undefined ? identity : [...identity, approver], approval, facts);
}

function firstRefusal(list: readonly Guard[], approval: Approval, facts: AdmissionFacts): Admission {
  for (const { rule, refusal } of list) {
    const reason = refusal(approval, facts);
    if (reason !== undefined) return { admitted: false, rule, reason };
  }
  return { admitted: true };
}

function planRefusal(plan: Plan | undefined): string | undefined {
  if (plan === undefined) return 'there is no such plan';
  if (plan.status === 'pending') return undefined;
  return `the plan is ${plan.status}${plan.reason === undefined ? '' : `: ${plan.reason}`}`;
}

function renderedRefusal(approval: Approval, rendered: AdmissionFacts['rendered']): string | undefined {
  if (!rendered.ok) return `it can no longer be planned: ${rendered.reason}`;
  return rendered.digest === approval.digest
    ? undefined
    : 'the playbook, the inventory or the configuration changed since it was planned; ask for a new plan';
}

export function blockedWords({ playbook, host, reason }: { playbook: string; host: string; reason: string }): string {
  return `the playbook is blocked on ${host}: ${reason}; to open it: lares unblock ${playbook} --host ${host}`;
}
