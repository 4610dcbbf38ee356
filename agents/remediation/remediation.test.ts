import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { approval as approvalKind } from '#bus/messages/approval.ts';
import { finding as findingKind } from '#bus/messages/finding.ts';
import { proposal as proposalKind } from '#bus/messages/proposal.ts';
import { verdict as verdictKind } from '#bus/messages/verdict.ts';
import { signApproval } from '#bus/sign.ts';
import { approvalOf, proposalOf, startWorker, type Worker } from '../../test/parts/remediation.ts';
import { hasSshd, lacksSshd } from '../../test/parts/sshd.ts';
import { until } from '../../test/parts/until.ts';

const now = (): string => new Date().toISOString();

const markerOf = (plan: string): string => plan.slice('plan-'.length);

const firing = (status: 'firing' | 'resolved') => ({
  fingerprint: '00000000000000aa',
  occurrence: 'o1',
  status,
  condition: 'problem' as const,
  severity: 'critical' as const,
  check: 'c1',
  kind: 'systemd-unit',
  host: 'web1',
  resource: 'nginx.service',
  labels: { alertname: 'unit-failed', unit: 'nginx.service' },
  summary: 'nginx.service has failed',
  startsAt: now(),
  updatedAt: now(),
  evidence: [],
});

describe.skipIf(!hasSshd)(`the worker over a real sshd${lacksSshd}`, { timeout: 60_000 }, () => {
  let worker: Worker;
  beforeEach(async () => {
    worker = await startWorker();
  }, 60_000);
  afterEach(async () => worker[Symbol.asyncDispose](), 60_000);

  it('a plan shows exactly what then runs, once, and a verdict closes the run', async () => {
    const plan = await worker.propose();
    expect(plan).toMatchObject({ status: 'pending', proof: 'tap', risk: 'medium', title: 'Restart nginx.service' });
    expect(plan.body?.steps.map(({ argv }) => argv)).toEqual([
      [
        'env',
        `LARES_STEP=${markerOf(plan.id)}.1`,
        'timeout',
        '-k',
        '5',
        '200',
        'systemctl',
        'restart',
        'nginx.service',
      ],
    ]);
    expect(worker.calls('restart')).toEqual([]);
    worker.approve(plan);
    const run = await worker.runOf(plan, ({ status }) => status === 'verifying');
    expect(run).toMatchObject({
      end: 'succeeded',
      approver: 'telegram:42',
      steps: [{ status: 'succeeded', exitStatus: 0 }],
    });
    expect(worker.calls('restart')).toEqual(['restart nginx.service']);
    worker.sentinel.publish(verdictKind, { run: run.id, outcome: 'fixed', checks: [], at: now() });
    await worker.runOf(plan, ({ status }) => status === 'verified');
    expect(worker.plans.get(plan.id)?.status).toBe('approved');
    const times = worker.told.map(({ updatedAt }) => updatedAt);
    expect(times).toEqual(times.toSorted());
    for (const { updatedAt, steps } of worker.told) {
      for (const { endedAt = updatedAt } of steps) expect(updatedAt >= endedAt).toBe(true);
    }
  });

  it('a proposal, an approval and a second approval that come again change nothing', async () => {
    const proposal = proposalOf(['web1']);
    worker.triage.publish(proposalKind, proposal);
    worker.triage.publish(proposalKind, proposal);
    await until(() => worker.plans.size > 0, 'the plan');
    const [plan] = [...worker.plans.values()];
    if (plan === undefined) throw new Error('no plan');
    const approval = worker.approve(plan);
    worker.send(approval);
    worker.approve(plan);
    await worker.runOf(plan, ({ status }) => status === 'verifying');
    worker.send(approval);
    worker.approve(plan);
    worker.setState('failed');
    const other = await worker.propose();
    worker.approve(other);
    await worker.runOf(other, ({ status }) => status === 'verifying');
    expect(worker.plans.size).toBe(2);
    expect(worker.calls('restart')).toHaveLength(2);
  });

  it('nothing runs for a stranger, another digest, an old approval or a rejection', async () => {
    const plan = await worker.propose();
    const refusals: Record<string, () => void> = {
      'may not approve': () => worker.approve(plan, { approver: 'telegram:43' }),
      'digests differ': () => worker.approve(plan, { digest: 'a'.repeat(64) }),
      'too late': () => worker.approve(plan, { expiresAt: '2020-01-01T00:00:00.000Z' }),
    };
    for (const [reason, attempt] of Object.entries(refusals)) {
      const before = worker.told.length;
      attempt();
      await until(
        () => worker.told.slice(before).some((run) => run.reason?.includes(reason)),
        `the refusal "${reason}"`,
      );
    }
    worker.approve(plan, { decision: 'reject' });
    await until(() => worker.plans.get(plan.id)?.status === 'rejected', 'the rejection');
    const before = worker.told.length;
    worker.approve(plan);
    await until(
      () => worker.told.slice(before).some((run) => run.reason?.includes('the plan is rejected')),
      'the refusal',
    );
    expect(worker.calls('restart')).toEqual([]);
  });

  it('a playbook that was edited after it was shown does not run', async () => {
    const file = join(worker.folder, 'playbooks', 'mine.yaml');
    const text = `schema: lares.playbook/1\nid: mine\ntitle: Mine\nabout: x\nrisk: low\nsteps:\n  - id: a\n    argv: [systemctl, restart, a.service]\n`;
    writeFileSync(file, text);
    const plan = await worker.propose({ playbook: 'mine', parameters: {} });
    expect(plan.status).toBe('pending');
    writeFileSync(file, `${text}# an innocent comment\n`);
    worker.approve(plan);
    expect((await worker.refusalOf(plan)).reason).toContain('changed since it was planned');
    expect(worker.calls('restart')).toEqual([]);
  });

  it('when the condition ended by itself nothing runs and the card says so', async () => {
    worker.sentinel.publish(findingKind, firing('firing'));
    await worker.sentinel.flush(AbortSignal.timeout(10_000));
    const plan = await worker.propose();
    expect(plan.body?.condition.map(({ states }) => states)).toEqual(['nginx.service is not active']);
    worker.setState('active');
    worker.approve(plan);
    const run = await worker.runOf(plan, ({ end }) => end !== undefined);
    expect(run).toMatchObject({ status: 'refused', end: 'refused' });
    expect(run.reason).toContain('the condition is already gone');
    expect(worker.calls('restart')).toEqual([]);
  });

  it('a plan is withdrawn when what it was for is over', async () => {
    worker.sentinel.publish(findingKind, firing('firing'));
    const plan = await worker.propose();
    worker.sentinel.publish(findingKind, firing('resolved'));
    await until(() => worker.plans.get(plan.id)?.status === 'withdrawn', 'the withdrawal');
    worker.approve(plan);
    expect((await worker.refusalOf(plan)).reason).toContain('withdrawn');
  });

  it('protected units, hosts without a login, unknown playbooks and bad values are refused with the reason', async () => {
    worker.configure((config) => Object.assign(config.hosts ?? {}, { db1: { read: { user: 'x' } } }));
    await worker.stop();
    await worker.start();
    const reasonOf = async (over: Parameters<Worker['propose']>[0]) => (await worker.propose(over)).reason;
    expect(await reasonOf({ parameters: { unit: 'ssh' } })).toContain('protected');
    expect(await reasonOf({ parameters: { unit: 'wg-quick@wg0' } })).toContain('protected');
    expect(await reasonOf({ parameters: { unit: 'x; rm -rf /' } })).toContain('must be the name');
    expect(await reasonOf({ hosts: ['db1'] })).toContain('no "act" login');
    expect(await reasonOf({ hosts: ['nobody'] })).toContain('not a host');
    expect(await reasonOf({ playbook: 'shell' })).toContain('there is no playbook');
  });

  it('an alias of a protected unit is found on the host', async () => {
    worker.configure((config) => Object.assign(config.remediation ?? {}, { protectedUnits: ['alias-of-nginx'] }));
    await worker.stop();
    await worker.start();
    const plan = await worker.propose();
    expect(plan).toMatchObject({ status: 'refused' });
    expect(plan.reason).toContain('nginx.service is not protected');
  });

  it('a playbook that did not help is blocked on that target until a person opens it', async () => {
    const plan = await worker.propose();
    worker.approve(plan);
    const run = await worker.runOf(plan, ({ status }) => status === 'verifying');
    worker.sentinel.publish(verdictKind, { run: run.id, outcome: 'not-fixed', checks: [], at: now() });
    await worker.runOf(plan, ({ status }) => status === 'verified');
    const blocked = await worker.propose();
    expect(blocked.reason).toContain('blocked on web1');
    expect(await worker.order('unblock', { playbook: 'restart-systemd-unit' })).toEqual({ removed: 1 });
    expect((await worker.propose()).status).toBe('pending');
  });

  it('the brake stops a playbook that does not last', async () => {
    worker.configure((config) => Object.assign(config.remediation ?? {}, { brake: { runs: 2 } }));
    await worker.stop();
    await worker.start();
    for (let index = 0; index < 2; index += 1) {
      const plan = await worker.propose();
      worker.approve(plan);
      await worker.runOf(plan, ({ status }) => status === 'verifying');
    }
    const third = await worker.propose();
    worker.approve(third);
    expect((await worker.refusalOf(third)).reason).toContain('restart brake');
    expect(worker.calls('restart')).toHaveLength(2);
  });

  it('a dry run looks, tells the commands and changes nothing', async () => {
    const plan = await worker.propose();
    const answer = await worker.triage.request('dry-run', { plan: plan.id }, AbortSignal.timeout(20_000));
    expect(answer).toMatchObject({
      wouldRun: true,
      commands: [
        {
          host: 'web1',
          command: `env LARES_STEP=${markerOf(plan.id)}.1 timeout -k 5 200 systemctl restart nginx.service`,
        },
      ],
    });
    expect(worker.calls('restart')).toEqual([]);
    expect(await worker.triage.request('plans', {}, AbortSignal.timeout(10_000))).toMatchObject({
      plans: [{ id: plan.id, hosts: ['web1'] }],
    });
  });

  it('a host whose key changed after the plan runs nothing', async () => {
    const plan = await worker.propose();
    await worker.sshd.changeHostKey();
    worker.sshd.killSessions();
    await worker.stop();
    await worker.start();
    worker.approve(plan);
    const run = await worker.runOf(plan, ({ end }) => end !== undefined);
    expect(run.end).toBe('refused');
    expect(run.reason).toContain('host key changed');
    expect(worker.calls('restart')).toEqual([]);
  });

  it('an approval that was sent before the worker was there is acted on when the plan is known', async () => {
    const plan = await worker.propose();
    await worker.crash();
    const approval = signApproval(approvalOf(plan), worker.signer);
    worker.triage.publish(approvalKind, approval);
    await worker.start();
    worker.triage.publish(approvalKind, approval);
    await worker.runOf(plan, ({ end }) => end === 'succeeded');
    expect(worker.calls('restart')).toHaveLength(1);
  });
});
