import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startWorker } from '../../test/parts/remediation.ts';
import { hasSshd, lacksSshd } from '../../test/parts/sshd.ts';
import { until } from '../../test/parts/until.ts';

/** A look that does something: only its author says that it looks. */
const playbook = `schema: lares.playbook/1
id: mine
title: Mine
about: x
risk: low
preconditions:
  - id: look
    argv: [systemctl, mask, a.service]
    success: [5]
    states: it is there
steps:
  - id: a
    argv: [systemctl, restart, a.service]
`;

describe.skipIf(!hasSshd)(`a playbook of a person${lacksSshd}`, () => {
  it('runs nothing, not even its looks, before a plan of it was approved', async () => {
    await using worker = await startWorker();
    writeFileSync(join(worker.folder, 'playbooks', 'mine.yaml'), playbook);
    const plan = await worker.propose({ playbook: 'mine', parameters: {} });
    expect(plan.status).toBe('pending');
    expect(plan.body?.preconditions.map(({ argv }) => argv.at(-2))).toEqual(['mask']);
    expect(worker.calls()).toEqual([]);

    worker.approve(plan);
    await worker.runOf(plan, ({ end }) => end !== undefined);
    expect(worker.calls('mask')).toHaveLength(1);
    expect(worker.calls('restart')).toHaveLength(1);

    await worker.propose({ playbook: 'mine', parameters: {} });
    expect(worker.calls('mask')).toHaveLength(2);
    writeFileSync(join(worker.folder, 'playbooks', 'mine.yaml'), `${playbook}# edited\n`);
    const edited = await worker.propose({ playbook: 'mine', parameters: {} });
    await until(() => worker.plans.has(edited.id), 'the plan');
    expect(worker.calls('mask')).toHaveLength(2);
  }, 60_000);
});
