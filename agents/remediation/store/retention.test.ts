import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Plan } from '#bus/messages/plan.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { proposalOf } from '../../../test/parts/remediation.ts';
import { openRemediationStore, type RemediationStore } from '../store.ts';
import { forgetOld } from './retention.ts';

const day = 24 * 3_600_000;
const began = Date.parse('2026-11-21T00:00:00Z');

let store: RemediationStore;
beforeEach(() => {
  store = openRemediationStore(':memory:', Buffer.alloc(32));
});
afterEach(() => store.close());

/** A plan that was refused at once, or waits. */
function planned(status: Plan['status'], at = began): string {
  const proposal = proposalOf(['web1']);
  store.plans.saveProposal(proposal, at);
  const plan: Plan = {
    id: `plan-${proposal.id}`,
    proposal: proposal.id,
    playbook: proposal.playbook,
    findings: [],
    status,
    title: 'Restart',
    risk: 'low',
    proof: 'tap',
    blastRadius: [],
    history: [],
    createdAt: toInstant(at),
    expiresAt: toInstant(at + day),
  };
  store.plans.savePlan({ plan, alertnames: [] });
  store.plans.markCleared(plan.id);
  return plan.id;
}

/** A plan with its run, of a playbook with one digest; `over` when its verdict came. */
function ran(over: boolean, at = began): { plan: string; run: string } {
  const plan = planned('approved', at);
  const run = `run-${plan}`;
  const head = {
    id: run,
    plan,
    playbook: 'p',
    hosts: ['web1'],
    findings: [],
    status: 'queued' as const,
    updatedAt: toInstant(at),
  };
  const on = { targets: [{ host: 'web1', target: 'web1' }], resources: ['web1 x'], playbookDigest: 'd' };
  store.runs.claim(head, on, at);
  store.runs.addSteps(run, [{ position: 0, phase: 'steps', step: 0, status: 'succeeded', output: 'x' }]);
  if (!over) return { plan, run };
  store.runs.unlock(run);
  store.runs.close(run, at);
  store.runs.markCleared(run);
  return { plan, run };
}

const count = (table: string): number => Number(store.rows.get(`SELECT count(*) AS n FROM ${table}`)?.['n']);

test('a plan that never ran is kept for 90 days, one that waits for ever', () => {
  planned('refused');
  const waiting = planned('pending');
  forgetOld(store.rows, began + 89 * day);
  expect([count('plans'), count('proposals')]).toEqual([2, 2]);
  forgetOld(store.rows, began + 91 * day);
  expect([count('plans'), count('proposals')]).toEqual([1, 1]);
  expect(store.plans.plan(waiting)?.plan.status).toBe('pending');
});

test('a run goes 400 days before the newest with all its rows, and its playbook stays known as approved', () => {
  const { plan, run } = ran(true);
  ran(true, began + 399 * day);
  forgetOld(store.rows, began + 401 * day);
  expect(store.runs.runOfPlan(plan)?.id).toBe(run);
  expect(store.runs.recent({ playbook: 'p', target: 'web1', since: 0 })).toHaveLength(2);
  ran(true, began + 401 * day);
  forgetOld(store.rows, began + 401 * day);
  expect(store.runs.runOfPlan(plan)).toBeUndefined();
  for (const table of ['runs', 'run_steps', 'run_targets', 'run_resources', 'plans', 'proposals'])
    expect([table, count(table)]).toEqual([table, 2]);
  expect(store.runs.wasApproved('d')).toBe(true);
});

test('a clock that is ahead by years makes it forget no run', () => {
  const { plan } = ran(true);
  forgetOld(store.rows, began + 4_000 * day);
  expect(store.runs.runOfPlan(plan)).toBeDefined();
});

test('a run that holds a host or waits for its verdict stays, and with it its plan', () => {
  const { plan } = ran(false);
  ran(true, began + 4_000 * day);
  forgetOld(store.rows, began + 4_000 * day);
  expect(store.runs.runOfPlan(plan)).toBeDefined();
  expect(store.plans.plan(plan)).toBeDefined();
});

test('a flood of plans leaves the newest ten thousand', () => {
  store.rows.transaction(() => {
    for (let index = 0; index < 10_050; index += 1) planned('refused', began + index);
  });
  forgetOld(store.rows, began + day);
  expect(count('plans')).toBe(10_000);
});
