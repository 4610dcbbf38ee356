import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freeze as freezeKind } from '#bus/messages/freeze.ts';
import { signThaw } from '#bus/sign.ts';
import { approver, startWorker, type Worker } from '../../test/parts/remediation.ts';
import { hasSshd, lacksSshd } from '../../test/parts/sshd.ts';
import { until } from '../../test/parts/until.ts';

const now = (): string => new Date().toISOString();
const markerOf = (plan: string): string => plan.slice('plan-'.length);

/** Processes of this machine whose environment holds the marker of a plan: what "still running" means. */
function running(marker: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`LARES_STEP=${marker}`);
    } catch {
      return false;
    }
  });
}

describe.skipIf(!hasSshd)(`how commands end, over a real sshd${lacksSshd}`, () => {
  let worker: Worker;
  beforeEach(async () => {
    worker = await startWorker();
  }, 60_000);
  afterEach(async () => worker[Symbol.asyncDispose](), 60_000);

  it('freezing ends a command that runs, keeps it ended, and outlives a restart', async () => {
    writeFileSync(join(worker.sshd.folder, 'hold'), 'trap "" TERM; sleep 60 & sleep 60; touch survived');
    const plan = await worker.propose();
    worker.approve(plan);
    await until(() => existsSync(join(worker.sshd.folder, 'held')), 'the command');
    const state = { frozen: true, by: 'ann', reason: 'stop it', at: now() };
    worker.triage.publish(freezeKind, state);
    const run = await worker.runOf(plan, ({ end }) => end !== undefined);
    expect(run).toMatchObject({ end: 'failed', steps: [{ status: 'failed' }] });
    expect(run.steps[0]?.output).toContain('nothing of it runs any more');
    expect(running(markerOf(plan.id))).toEqual([]);
    await worker.stop();
    worker.triage.clear(freezeKind, '');
    await worker.start();
    const other = await worker.propose();
    worker.approve(other);
    expect((await worker.refusalOf(other)).reason).toContain('frozen by ann');
    // The broker had lost it, and the worker has told it again.
    const heard: boolean[] = [];
    worker.sentinel.subscribe(freezeKind, ({ frozen }) => void heard.push(frozen));
    await until(() => heard.includes(true), 'the freeze on the bus');
    worker.triage.publish(freezeKind, { ...state, frozen: false, at: now() });
    await until(() => heard.at(-1) === true && heard.includes(false), 'the freeze again: nobody signed that thaw');
    heard.length = 0;
    worker.triage.publish(freezeKind, signThaw({ by: approver, reason: 'mended', at: now() }, worker.signer));
    await until(() => heard.includes(false), 'the thaw');
    expect(existsSync(join(worker.sshd.folder, 'survived'))).toBe(false);
  }, 60_000);

  it('a step whose time is up leaves nothing running, not even a child in a session of its own', async () => {
    const file = join(worker.folder, 'playbooks', 'slow.yaml');
    writeFileSync(
      file,
      `schema: lares.playbook/1\nid: slow\ntitle: Slow\nabout: x\nrisk: low\nsteps:\n  - id: a\n    timeout: 2s\n    argv: [sh, -c, 'trap "" TERM; setsid sleep 300 & sleep 300 & sleep 300']\n  - id: b\n    argv: [systemctl, restart, b.service]\n`,
    );
    const plan = await worker.propose({ playbook: 'slow', parameters: {} });
    worker.approve(plan);
    const run = await worker.runOf(plan, ({ end }) => end !== undefined);
    expect(run.end).toBe('timed-out');
    expect(run.steps.map(({ status }) => status)).toEqual(['timed-out', 'skipped']);
    expect(run.steps[0]?.output).toContain('nothing of it runs any more');
    expect(running(markerOf(plan.id))).toEqual([]);
    expect(worker.calls('restart')).toEqual([]);
  }, 60_000);

  it('a connection that dies under a step makes the run unknown, ends what is left, and repeats nothing', async () => {
    writeFileSync(join(worker.sshd.folder, 'hold'), 'sleep 60');
    const plan = await worker.propose();
    worker.approve(plan);
    await until(() => existsSync(join(worker.sshd.folder, 'held')), 'the command');
    worker.sshd.killSessions();
    const run = await worker.runOf(plan, ({ end }) => end !== undefined);
    expect(run).toMatchObject({ end: 'unknown', steps: [{ status: 'unknown' }] });
    expect(running(markerOf(plan.id))).toEqual([]);
    expect(worker.calls('restart')).toHaveLength(1);
  }, 60_000);

  it('a worker that is killed in the middle says unknown, repeats nothing, and frees the host when nothing is left', async () => {
    writeFileSync(join(worker.sshd.folder, 'hold'), 'until [ -e released ]; do sleep 0.1; done');
    const plan = await worker.propose();
    worker.approve(plan);
    await until(() => existsSync(join(worker.sshd.folder, 'held')), 'the command');
    await worker.crash();
    await worker.start();
    const run = await worker.runOf(plan, ({ end }) => end !== undefined);
    expect(run).toMatchObject({ end: 'unknown', steps: [{ status: 'unknown' }] });
    worker.setState('failed');
    const other = await worker.propose();
    worker.approve(other);
    expect((await worker.refusalOf(other)).reason).toContain('is held by run');
    writeFileSync(join(worker.sshd.folder, 'released'), '');
    await worker.runOf(plan, ({ reason }) => reason?.includes('nothing of it runs on its hosts') === true);
    worker.approve(other);
    await worker.runOf(other, ({ end }) => end === 'succeeded');
    expect(worker.calls('restart')).toHaveLength(2);
  }, 120_000);
});
