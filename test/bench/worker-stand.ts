import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { loadSigner } from '#bus/keys.ts';
import { type Plan, plan as planKind } from '#bus/messages/plan.ts';
import { proposal as proposalKind } from '#bus/messages/proposal.ts';
import { approval as approvalKind } from '#bus/messages/approval.ts';
import { type Run, run as runKind } from '#bus/messages/run.ts';
import { signApproval } from '#bus/sign.ts';
import { startTestBroker } from '../parts/broker.ts';
import { approvalOf, proposalOf } from '../parts/remediation.ts';
import { cpuSecondsOf } from './process.ts';
import type { SshHost } from './ssh-fleet.ts';

const worker = join(import.meta.dirname, '../parts/remediation-process.ts');

const patienceMs = 60_000;
/** A worker that has just started waits so long for a freeze that the bus may hold. */
const settleMs = 2_500;

/** The worker in a process of its own; whoever holds the stand proposes and approves as triage does. */
export interface WorkerStand extends AsyncDisposable {
  /** Until the plan is there: it looked at the hosts and rendered. */
  plan(playbook: string, hosts: readonly string[]): Promise<Plan>;
  /** From the signed approval to the end of the run. */
  run(plan: Plan): Promise<Run>;
  cpuSeconds(): number;
}

export async function startWorker(
  folder: string,
  options: { hosts: readonly SshHost[]; playbook: string },
): Promise<WorkerStand> {
  await using starting = new AsyncDisposableStack();
  const broker = starting.use(await startTestBroker());
  mkdirSync(join(folder, 'playbooks'), { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, 'playbooks', 'bench.yaml'), options.playbook, { mode: 0o600 });
  const signer = loadSigner(join(folder, 'keys'), 'triage');
  const hosts = options.hosts.map(({ name, address, port, hostKeys, user, keyFile }) => [
    name,
    { address, port, hostKeys, act: { user, keyFile } },
  ]);
  const config = {
    hosts: Object.fromEntries(hosts),
    people: { approvers: [42] },
    remediation: { playbooks: 'playbooks', brake: { runs: 1_000 } },
  };
  writeFileSync(join(folder, 'worker.json'), JSON.stringify({ url: broker.url, config }));
  const triage = broker.connect('triage');
  const plans = new Expected<Plan>((plan) => plan.proposal);
  const runs = new Expected<Run>((run) => run.plan);
  triage.subscribe(planKind, (plan) => plans.take(plan));
  triage.subscribe(runKind, (run) => (run.end === undefined ? undefined : runs.take(run)));
  await triage.ready(AbortSignal.timeout(10_000));
  const child = fork(worker, [folder], { execArgv: [] });
  starting.defer(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  await once(child, 'message');
  await wait(settleMs);
  const running = starting.move();
  return {
    plan(playbook, names) {
      const proposal = proposalOf(names, { playbook, parameters: {} });
      const planned = plans.of(proposal.id);
      triage.publish(proposalKind, proposal);
      return planned;
    },
    run(plan) {
      if (plan.status !== 'pending') throw new Error(`The plan is ${plan.status}: ${plan.reason ?? ''}`);
      const ended = runs.of(plan.id);
      triage.publish(approvalKind, signApproval(approvalOf(plan), signer));
      return ended;
    },
    cpuSeconds: () => cpuSecondsOf(child.pid ?? -1),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Messages that somebody waits for by their key. */
class Expected<T> {
  readonly #keyOf: (message: T) => string;
  readonly #waiting = new Map<string, (message: T) => void>();

  constructor(keyOf: (message: T) => string) {
    this.#keyOf = keyOf;
  }

  of(key: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`Nothing came for ${key}`)), patienceMs);
      this.#waiting.set(key, (message) => {
        clearTimeout(late);
        resolve(message);
      });
    });
  }

  take(message: T): void {
    this.#waiting.get(this.#keyOf(message))?.(message);
  }
}
