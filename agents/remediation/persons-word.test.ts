import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSecret, loadSigner } from '#bus/keys.ts';
import { freeze as freezeKind } from '#bus/messages/freeze.ts';
import { verdict as verdictKind } from '#bus/messages/verdict.ts';
import { signOrder } from '#bus/order.ts';
import { signApproval, signThaw } from '#bus/sign.ts';
import { approvalOf, approver, startWorker, type Worker } from '../../test/parts/remediation.ts';
import { hasSshd, lacksSshd } from '../../test/parts/sshd.ts';
import { until } from '../../test/parts/until.ts';
import { openRemediationStore } from './store.ts';

const now = (): string => new Date().toISOString();
const soon = (): AbortSignal => AbortSignal.timeout(10_000);

describe.skipIf(!hasSshd)(`what gives power back, over a real sshd${lacksSshd}`, { timeout: 60_000 }, () => {
  let worker: Worker;
  beforeEach(async () => {
    worker = await startWorker();
  }, 60_000);
  afterEach(async () => worker[Symbol.asyncDispose](), 60_000);

  const ask = (verb: string, data: Record<string, unknown>) => worker.triage.request(verb, data, soon());

  it('a block is opened by a signed order of an approver, once, and by nothing else', async () => {
    const plan = await worker.propose();
    worker.approve(plan);
    const run = await worker.runOf(plan, ({ status }) => status === 'verifying');
    worker.sentinel.publish(verdictKind, { run: run.id, outcome: 'not-fixed', checks: [], at: now() });
    await worker.runOf(plan, ({ status }) => status === 'verified');
    expect((await worker.propose()).reason).toContain('lares unblock restart-systemd-unit --host web1');
    const data = { playbook: 'restart-systemd-unit' };
    const order = { verb: 'unblock', data, by: approver, at: Date.now() };
    const forger = loadSigner(join(worker.folder, 'forged'), 'triage');
    await expect(ask('unblock', data)).rejects.toThrow('it is no signed order');
    await expect(ask('unblock', signOrder(order, forger))).rejects.toThrow('not signed by a key');
    await expect(ask('unblock', { ...signOrder(order, worker.signer), data: {} })).rejects.toThrow('not signed by');
    await expect(ask('unblock', signOrder({ ...order, verb: 'release' }, worker.signer))).rejects.toThrow('"release"');
    await expect(worker.order('unblock', data, 'telegram:43')).rejects.toThrow('"telegram:43" is no approver here');
    const late = signOrder({ ...order, at: Date.now() - 3_600_000 }, worker.signer);
    await expect(ask('unblock', late)).rejects.toThrow('too late');
    const early = signOrder({ ...order, at: Date.now() + 3_600_000 }, worker.signer);
    await expect(ask('unblock', early)).rejects.toThrow('set the clocks');
    expect((await worker.propose()).status).toBe('refused');
    const once = signOrder(order, worker.signer);
    expect(await ask('unblock', once)).toEqual({ removed: 1 });
    await expect(ask('unblock', once)).rejects.toThrow('it was given before');
    await worker.stop();
    await worker.start();
    await expect(ask('unblock', once)).rejects.toThrow('it was given before');
    expect((await worker.propose()).status).toBe('pending');
  });

  it('the hosts of a run whose end nobody knows are freed by a signed order, and the run says how', async () => {
    writeFileSync(join(worker.sshd.folder, 'hold'), 'setsid sleep 300 & sleep 60');
    const plan = await worker.propose();
    worker.approve(plan);
    await worker.runOf(plan, ({ steps }) => steps.some(({ status }) => status === 'running'));
    await until(() => worker.calls('restart').length > 0, 'the command');
    await worker.crash();
    await worker.start();
    const run = await worker.runOf(plan, ({ reason }) => reason?.includes('still not certain') === true);
    expect(run.reason).toContain(`lares release ${run.id}`);
    const other = await worker.propose();
    worker.approve(other);
    expect((await worker.refusalOf(other)).reason).toContain(`lares release ${run.id}`);
    await expect(worker.order('release', { run: run.id }, 'telegram:43')).rejects.toThrow('no approver');
    expect(await worker.order('release', { run: run.id })).toEqual({ run: run.id });
    await worker.runOf(plan, ({ reason }) => reason?.includes(`released by ${approver}`) === true);
    await expect(worker.order('release', { run: run.id })).rejects.toThrow('there is no run');
    worker.sshd.killSessions();
  });

  it('a thaw that is asked for is answered: done, or why not', async () => {
    worker.triage.publish(freezeKind, { frozen: true, by: 'ann', reason: 'x', at: now() });
    const plan = await worker.propose();
    worker.approve(plan);
    expect((await worker.refusalOf(plan)).reason).toContain('frozen by ann');
    const thaw = (by: string) => signThaw({ by, reason: 'mended', at: now() }, worker.signer);
    await expect(ask('thaw', thaw('telegram:43'))).rejects.toThrow('stays frozen: "telegram:43" is no approver here');
    await expect(ask('thaw', { ...thaw(approver), signature: undefined })).rejects.toThrow('not signed');
    expect(await ask('thaw', thaw(approver))).toEqual({ frozen: false });
    worker.approve(plan);
    await worker.runOf(plan, ({ end }) => end === 'succeeded');
  });

  it('an approval that nobody signed is neither kept nor answered, and the real one still counts', async () => {
    const plan = await worker.propose();
    const real = approvalOf(plan);
    worker.send(signApproval(real, loadSigner(join(worker.folder, 'forged'), 'triage')));
    worker.send({ ...signApproval({ ...real, approver: 'telegram:43' }, worker.signer), approver });
    const answered = await worker.propose();
    expect(answered.status).toBe('pending');
    expect(worker.told).toEqual([]);
    worker.approve(plan, { id: real.id });
    const run = await worker.runOf(plan, ({ end }) => end === 'succeeded');
    expect(run.approval).toBe(real.id);
  });

  it('an approval that was stored before the worker died is decided after the bus has said what was frozen', async () => {
    const plan = await worker.propose();
    await worker.stop();
    const approval = signApproval(approvalOf(plan), worker.signer);
    const store = openRemediationStore(
      join(worker.folder, 'state'),
      loadSecret(join(worker.folder, 'keys'), 'journal'),
    );
    store.plans.saveApproval(approval, Date.now());
    store.close();
    worker.triage.publish(freezeKind, { frozen: true, by: 'ann', reason: 'x', at: now() });
    await worker.start();
    const refusal = await worker.refusalOf(plan);
    expect([refusal.reason, refusal.approval]).toEqual([expect.stringContaining('frozen by ann'), approval.id]);
    expect(worker.calls('restart')).toEqual([]);
  });

  it('floods of proposals and of dry runs reach no host', async () => {
    const plan = await worker.propose();
    const many = await Promise.all(Array.from({ length: 40 }, () => worker.propose()));
    const refused = many.filter(({ reason }) => reason?.includes('more than 30 proposals a minute'));
    expect(refused.length).toBeGreaterThanOrEqual(5);
    const looks = await Promise.allSettled(
      Array.from({ length: 40 }, () =>
        worker.triage.request('dry-run', { plan: plan.id }, AbortSignal.timeout(60_000)),
      ),
    );
    const turned = looks.filter((look) => look.status === 'rejected' && String(look.reason).includes('30 dry runs'));
    expect(turned.length).toBeGreaterThanOrEqual(5);
  }, 120_000);
});

describe.skipIf(!hasSshd)(`one machine with two names${lacksSshd}`, { timeout: 60_000 }, () => {
  it('is held by one run at a time, and two playbooks that restart one unit share its brake', async () => {
    await using worker = await startWorker(['web1', 'web2']);
    worker.configure((config) => Object.assign(config.remediation ?? {}, { brake: { runs: 2 } }));
    await worker.stop();
    await worker.start();
    writeFileSync(join(worker.sshd.folder, 'hold'), 'until [ -e released ]; do sleep 0.1; done');
    const [one, two] = [await worker.propose({ hosts: ['web1'] }), await worker.propose({ hosts: ['web2'] })];
    worker.approve(one);
    await worker.runOf(one, ({ steps }) => steps.some(({ status }) => status === 'running'));
    worker.approve(two);
    expect((await worker.refusalOf(two)).reason).toContain(`web2 is held by run`);
    writeFileSync(join(worker.sshd.folder, 'released'), '');
    await worker.runOf(one, ({ end }) => end === 'succeeded');
    writeFileSync(
      join(worker.folder, 'playbooks', 'mine.yaml'),
      `schema: lares.playbook/1\nid: mine\ntitle: Mine\nabout: x\nrisk: low\nsteps:\n  - id: a\n    argv: [systemctl, restart, nginx]\n`,
    );
    const mine = await worker.propose({ playbook: 'mine', parameters: {}, hosts: ['web2'] });
    worker.approve(mine);
    await worker.runOf(mine, ({ end }) => end === 'succeeded');
    worker.setState('failed');
    const third = await worker.propose({ hosts: ['web1'] });
    worker.approve(third);
    expect((await worker.refusalOf(third)).reason).toContain('restart brake');
  });
});
