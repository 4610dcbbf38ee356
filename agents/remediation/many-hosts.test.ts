import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startWorker } from '../../test/parts/remediation.ts';
import { hasSshd, lacksSshd } from '../../test/parts/sshd.ts';

const steps = ['one', 'two', 'three'];
const hosts = Array.from({ length: 20 }, (_, index) => `web${index + 1}`);

const playbook = `schema: lares.playbook/1
id: three
title: Three steps
about: x
risk: low
steps:
${steps.map((step) => `  - id: ${step}\n    argv: [systemctl, restart, ${step}.service]`).join('\n')}
limits: { targets: 20, concurrency: 20 }
`;

describe.skipIf(!hasSshd)(`many hosts${lacksSshd}`, () => {
  it('three steps on twenty hosts run once each, in order on each host, with one message that holds them all', async () => {
    await using worker = await startWorker(hosts);
    writeFileSync(join(worker.folder, 'playbooks', 'three.yaml'), playbook);
    const plan = await worker.propose({ playbook: 'three', parameters: {} });
    expect(plan.status).toBe('pending');
    worker.approve(plan);
    const run = await worker.runOf(plan, ({ end }) => end !== undefined);
    expect(run).toMatchObject({ end: 'succeeded' });
    expect(run.steps).toHaveLength(60);
    expect(worker.calls('restart')).toHaveLength(60);
    for (const host of hosts) {
      const own = run.steps.filter((step) => step.host === host);
      expect(own.map(({ id }) => id)).toEqual(steps);
      const times = own.flatMap(({ startedAt, endedAt }) => [startedAt ?? '', endedAt ?? '']);
      expect(times).toEqual(times.toSorted());
    }
  }, 120_000);

  it('the first step that fails stops the hosts that have not begun', async () => {
    await using worker = await startWorker(hosts.slice(0, 4));
    const failing = playbook.replace('concurrency: 20', 'concurrency: 1').replace('restart, two', 'refuse, two');
    writeFileSync(join(worker.folder, 'playbooks', 'three.yaml'), failing);
    const plan = await worker.propose({ playbook: 'three', parameters: {} });
    worker.approve(plan);
    const run = await worker.runOf(plan, ({ end }) => end !== undefined);
    expect(run.end).toBe('failed');
    const count = (status: string): number => run.steps.filter((step) => step.status === status).length;
    expect([count('succeeded'), count('failed'), count('skipped')]).toEqual([1, 1, 10]);
    expect(worker.calls('restart')).toEqual(['restart one.service']);
  }, 60_000);

  it('a failed step is rolled back where something ran, when the playbook says how', async () => {
    await using worker = await startWorker(hosts.slice(0, 2));
    const failing = `${playbook.replace('restart, two', 'refuse, two').replace('concurrency: 20', 'concurrency: 1')}rollback:\n  - id: back\n    argv: [systemctl, start, back.service]\n`;
    writeFileSync(join(worker.folder, 'playbooks', 'three.yaml'), failing);
    const plan = await worker.propose({ playbook: 'three', parameters: {} });
    worker.approve(plan);
    const run = await worker.runOf(plan, ({ end }) => end !== undefined);
    expect(run.end).toBe('rolled-back');
    expect(worker.calls('start')).toEqual(['start back.service']);
    expect(run.steps.find(({ id }) => id === 'rollback.back')).toMatchObject({ status: 'succeeded', host: 'web1' });
  }, 60_000);
});
