import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { freeze as freezeKind } from '#bus/messages/freeze.ts';
import type { Approval } from '#bus/messages/approval.ts';
import { finding as findingKind } from '#bus/messages/finding.ts';
import type { Plan } from '#bus/messages/plan.ts';
import type { Run } from '#bus/messages/run.ts';
import { signThaw } from '#bus/sign.ts';
import { approver, startWorker, type Worker } from '../../test/parts/remediation.ts';
import { hasSshd, lacksSshd } from '../../test/parts/sshd.ts';
import { until } from '../../test/parts/until.ts';

type Event =
  | 'propose'
  | 'approve'
  | 'forge'
  | 'reject'
  | 'replay'
  | 'freeze'
  | 'thaw'
  | 'restart'
  | 'crash'
  | 'resolve';

const events: Event[] = [
  'propose',
  'approve',
  'forge',
  'reject',
  'replay',
  'freeze',
  'thaw',
  'restart',
  'crash',
  'resolve',
];

/** What a test remembers of one life: the plans and who said what, with everything that was ever sent. */
interface History {
  plans: Plan[];
  approvals: Approval[];
  approved: Set<string>;
}

const now = (): string => new Date().toISOString();

function freeze(worker: Worker): void {
  worker.triage.publish(freezeKind, { frozen: true, by: 'test', reason: 'test', at: now() });
}

function thaw(worker: Worker): void {
  worker.triage.publish(freezeKind, signThaw({ by: approver, reason: 'test', at: now() }, worker.signer));
}

/** Approves until it counts: a run of an earlier life may still hold the host. Returns how that ended. */
async function runAtLast(worker: Worker, plan: Plan): Promise<Run['end']> {
  for (;;) {
    const { id } = worker.approve(plan);
    const answer = (): Run | undefined => worker.told.find(({ approval, end }) => approval === id && end !== undefined);
    await until(() => answer() !== undefined, 'an answer to the approval');
    const run = answer();
    if (run?.end !== 'refused') return run?.end;
    if (run.reason?.includes('is held by run') !== true) throw new Error(run.reason);
  }
}

function resolve(worker: Worker, history: History): void {
  const fingerprint = history.plans.at(-1)?.findings[0] ?? '00000000000000aa';
  worker.sentinel.publish(findingKind, {
    fingerprint,
    occurrence: 'o',
    status: 'resolved',
    condition: 'problem',
    severity: 'critical',
    check: 'c',
    kind: 'systemd-unit',
    resource: 'r',
    labels: { alertname: 'unit-failed' },
    summary: 's',
    startsAt: now(),
    updatedAt: now(),
    evidence: [],
  });
}

const happen: Record<Event, (worker: Worker, history: History) => void | Promise<void>> = {
  async propose(worker, { plans }) {
    plans.push(await worker.propose({ parameters: { unit: `u${plans.length}.service` } }));
  },
  approve(worker, { plans, approved, approvals }) {
    const plan = plans.at(-1);
    if (plan === undefined) return;
    approved.add(plan.id);
    approvals.push(worker.approve(plan));
  },
  forge(worker, { plans }) {
    const plan = plans.at(-1);
    if (plan !== undefined) {
      worker.send({ ...worker.approve(plan, { approver: 'telegram:1' }), approver: 'telegram:42' });
    }
  },
  reject(worker, { plans }) {
    const plan = plans.at(-1);
    if (plan !== undefined) worker.approve(plan, { decision: 'reject' });
  },
  replay(worker, { approvals: [old] }) {
    if (old !== undefined) worker.send(old);
  },
  freeze,
  thaw,
  async restart(worker) {
    await worker.stop();
    await worker.start();
  },
  async crash(worker) {
    await worker.crash();
    await worker.start();
  },
  resolve,
};

/** Restarts per unit, as the host wrote them down. */
function effects(worker: Worker): Map<string, number> {
  const counts = new Map<string, number>();
  for (const call of worker.calls('restart ')) counts.set(call.slice(8), (counts.get(call.slice(8)) ?? 0) + 1);
  return counts;
}

async function live(sequence: readonly Event[]): Promise<string[]> {
  await using worker = await startWorker();
  const history: History = { plans: [], approvals: [], approved: new Set() };
  for (const event of sequence) await happen[event](worker, history);
  // Whatever is still under way gets its end: another life, thawed, in which everything is sent again.
  await worker.stop();
  await worker.start();
  thaw(worker);
  for (const approval of history.approvals) worker.send(approval);
  const last = await worker.propose({ parameters: { unit: 'last.service' }, findings: [] });
  const end = await runAtLast(worker, last);
  await worker.stop();
  // Only a worker that runs what it should says something by what it did not run.
  const wrong = end === 'succeeded' ? [] : [`the last run ended ${end}`];
  for (const [unit, count] of effects(worker)) {
    const plan = history.plans.find(({ body }) => body?.parameters['unit'] === unit);
    if (count > 1) wrong.push(`${unit} ran ${count} times`);
    if (unit !== 'last.service' && (plan === undefined || !history.approved.has(plan.id)))
      wrong.push(`${unit} was not approved`);
  }
  return wrong;
}

describe.skipIf(!hasSshd)(`at most once${lacksSshd}`, () => {
  it('no order of approvals, forgeries, replays, freezes, restarts and kills runs a plan twice or one that nobody approved', async () => {
    const sequences = fc.array(fc.constantFrom(...events), { minLength: 3, maxLength: 9 });
    const begun = sequences.map((sequence): Event[] => ['propose', ...sequence]);
    const property = fc.asyncProperty(begun, async (sequence) => {
      expect(await live(sequence)).toEqual([]);
    });
    await fc.assert(property, {
      numRuns: 8,
      endOnFailure: true,
      examples: [
        [['propose', 'approve', 'crash', 'replay', 'approve', 'restart', 'replay']],
        [['propose', 'freeze', 'approve', 'thaw', 'crash', 'replay', 'approve', 'approve']],
      ],
    });
  }, 300_000);
});
