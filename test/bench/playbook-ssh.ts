import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Plan } from '#bus/messages/plan.ts';
import { hasSshd } from '../parts/sshd.ts';
import { cpuSecondsOfEnded, temporaryFolder } from './process.ts';
import type { Bench, Row } from './row.ts';
import { interleave, median } from './samples.ts';
import { openSshFleet, type SshHost } from './ssh-fleet.ts';
import { SshByHand } from './ssh-floor.ts';
import { startWorker, type WorkerStand } from './worker-stand.ts';

const rounds = 5;
/** Of each step. */
export const command = ['sh', '-c', 'systemctl show -p ActiveState ssh.service || true'];
export const steps = ['one', 'two', 'three'];

export const playbook = `schema: lares.playbook/1
id: bench
title: Three steps
about: What a restart costs without the restart.
risk: low
steps:
${steps.map((step) => `  - id: ${step}\n    argv: ${JSON.stringify(command)}`).join('\n')}
limits: { targets: 20, concurrency: 20 }
`;
const byHand = steps.map(() => `sh -c '${command[2]}'`);

export interface Cost {
  ms: number;
  cpuSeconds: number;
}

/**
 * Cold: nothing is connected. Ours is then from the proposal to the end of the run: look, render, sign, admit, journal
 * and all. Warm: connections are open, and ours is from the approval to the end of the run.
 */
export const playbookSsh: Bench = {
  about: `three steps on 1 and on 20 hosts, ${rounds} rounds, against ssh with ControlMaster`,
  missing: async () => (hasSshd ? undefined : 'needs Debian package openssh-server'),
  async run(say) {
    await using fleet = await openSshFleet(20);
    say(`hosts are ${fleet.kind}`);
    const rows: Row[] = [];
    for (const count of [1, 20]) rows.push(...(await compare(fleet.hosts.slice(0, count))));
    return rows;
  },
};

async function compare(hosts: readonly SshHost[]): Promise<Row[]> {
  using folder = temporaryFolder();
  await using ssh = new SshByHand(folder.path, hosts);
  const cold = await interleave(rounds, { ours: () => runCold(folder.path, hosts), floor: () => handCold(ssh) });
  await using worker = await startWorker(mkdtempSync(join(folder.path, 'warm-')), { hosts, playbook });
  await ssh.run(['true']);
  await runOurs(worker, hosts);
  const warm = await interleave(rounds, { ours: () => runOurs(worker, hosts), floor: () => handCost(ssh) });
  const row = (what: string, times: typeof cold, unit: 'ms' | 'cpuSeconds'): Row => ({
    name: `playbook-ssh ${what}, ${hosts.length} host${hosts.length === 1 ? '' : 's'}`,
    ours: median(times.ours.map((cost) => cost[unit])),
    floor: median(times.floor.map((cost) => cost[unit])),
    against: 'ssh with ControlMaster',
    unit: unit === 'ms' ? 'ms' : 's',
    ...(unit === 'ms' && { aim: { of: 'ratio', atMost: 1 } }),
  });
  return [
    row('cold', cold, 'ms'),
    row('warm', warm, 'ms'),
    row('cold CPU', cold, 'cpuSeconds'),
    row('warm CPU', warm, 'cpuSeconds'),
  ];
}

export async function runCold(folder: string, hosts: readonly SshHost[]): Promise<Cost> {
  await using worker = await startWorker(mkdtempSync(join(folder, 'cold-')), { hosts, playbook });
  return await spend(
    () => worker.cpuSeconds(),
    async () => {
      await finish(worker, await worker.plan('bench', namesOf(hosts)));
    },
  );
}

export async function runOurs(worker: WorkerStand, hosts: readonly SshHost[]): Promise<Cost> {
  const plan = await worker.plan('bench', namesOf(hosts));
  return spend(
    () => worker.cpuSeconds(),
    () => finish(worker, plan),
  );
}

async function finish(worker: WorkerStand, plan: Plan): Promise<void> {
  const run = await worker.run(plan);
  if (run.end !== 'succeeded') throw new Error(`The run ended as ${run.end}: ${run.reason ?? plan.reason ?? ''}`);
}

function namesOf(hosts: readonly SshHost[]): string[] {
  return hosts.map(({ name }) => name);
}

async function handCold(ssh: SshByHand): Promise<Cost> {
  await ssh.close();
  return handCost(ssh);
}

function handCost(ssh: SshByHand): Promise<Cost> {
  return spend(cpuSecondsOfEnded, () => ssh.run(byHand));
}

export async function spend(cpuSeconds: () => number, work: () => Promise<void>): Promise<Cost> {
  const before = cpuSeconds();
  const began = performance.now();
  await work();
  return { ms: performance.now() - began, cpuSeconds: cpuSeconds() - before };
}
