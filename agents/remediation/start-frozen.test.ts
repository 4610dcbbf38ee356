import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadSecret, loadSigner } from '#bus/keys.ts';
import { freeze as freezeKind } from '#bus/messages/freeze.ts';
import { type Plan, plan as planKind } from '#bus/messages/plan.ts';
import { proposal as proposalKind } from '#bus/messages/proposal.ts';
import { type Run, run as runKind } from '#bus/messages/run.ts';
import { signApproval } from '#bus/sign.ts';
import { createInventory } from '#config/inventory.ts';
import { openPeople } from '#config/people.ts';
import { ConfigSchema } from '#config/schema.ts';
import { systemClock } from '#agents/runtime/clock.ts';
import { createLog } from '#agents/runtime/log.ts';
import { createMetrics } from '#agents/runtime/metrics.ts';
import { MemoryBus } from '../../test/parts/memory-bus.ts';
import { approvalOf, proposalOf } from '../../test/parts/remediation.ts';
import { until } from '../../test/parts/until.ts';
import { createRemediation } from './remediation.ts';
import { openRemediationStore } from './store.ts';

/** A playbook that would leave a mark on this machine. */
const touching = (file: string): string =>
  `schema: lares.playbook/1\nid: touching\ntitle: Touching\nabout: x\nrisk: low\nsteps:\n  - id: a\n    argv: [touch, ${file}]\n`;

/** A worker for this machine on a bus in memory that says nothing by itself, not even that it is there. */
async function startSilently(folder: string) {
  const config = ConfigSchema.parse({
    hosts: { here: { via: 'local' } },
    people: { approvers: [42] },
    remediation: { playbooks: 'playbooks' },
  });
  const bus = new MemoryBus('remediation');
  bus.connected = false;
  const worker = createRemediation({
    config,
    baseFolder: folder,
    inventory: createInventory(config),
    stateFolder: folder,
    keysFolder: join(folder, 'keys'),
    people: openPeople(config, folder),
    bus,
    clock: systemClock,
    log: createLog({ level: 'silent', name: 'test' }),
    metrics: createMetrics(),
    http: { route: () => undefined },
  });
  await worker.start();
  bus.connected = true;
  const planned = async (): Promise<Plan> => {
    const proposal = proposalOf(['here'], { playbook: 'touching', parameters: {} });
    await bus.hear(proposalKind, proposal);
    const answer = (): Plan | undefined => (bus.of(planKind) as Plan[]).find((plan) => plan.proposal === proposal.id);
    await until(() => answer() !== undefined, 'the plan');
    return answer() as Plan;
  };
  return { worker, bus, planned };
}

test('what was approved before a start waits until the bus has said whether everything is frozen', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lares-start-'));
  mkdirSync(join(folder, 'playbooks'));
  writeFileSync(join(folder, 'playbooks', 'touching.yaml'), touching(join(folder, 'mark')));
  const signer = loadSigner(join(folder, 'keys'), 'triage');
  const before = await startSilently(folder);
  const plan = await before.planned();
  await before.worker.stop();
  const store = openRemediationStore(folder, loadSecret(join(folder, 'keys'), 'journal'));
  store.plans.saveApproval(signApproval(approvalOf(plan), signer), Date.now());
  store.close();

  const { worker, bus, planned } = await startSilently(folder);
  // Two more plans were made meanwhile: there was time to decide.
  await planned();
  await planned();
  expect(bus.of(runKind)).toEqual([]);
  await bus.hear(freezeKind, { frozen: true, by: 'ann', reason: 'x', at: new Date().toISOString() });
  const told = (): Run[] => bus.of(runKind) as Run[];
  await until(() => told().length > 0, 'the refusal');
  expect(told().map(({ status, reason }) => [status, reason])).toEqual([['refused', 'everything is frozen by ann: x']]);
  await worker.stop();
  rmSync(folder, { recursive: true, force: true });
});
