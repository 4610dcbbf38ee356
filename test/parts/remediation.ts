import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bus } from '#bus/bus.ts';
import { loadSigner, type Signer } from '#bus/keys.ts';
import { type Approval, approval as approvalKind } from '#bus/messages/approval.ts';
import { type Plan, plan as planKind } from '#bus/messages/plan.ts';
import { type Proposal, proposal as proposalKind } from '#bus/messages/proposal.ts';
import { type Run, run as runKind } from '#bus/messages/run.ts';
import { signOrder } from '#bus/order.ts';
import { signApproval } from '#bus/sign.ts';
import type { ConfigInput } from '#config/schema.ts';
import { startTestBroker, type TestBroker } from './broker.ts';
import { type Sshd, startSshd } from './sshd.ts';
import { until } from './until.ts';

export const approver = 'telegram:42';

/** The worker against a real broker and a real OpenSSH server; systemctl is a stand-in that records (tier 2). */
export interface Worker extends AsyncDisposable {
  readonly sshd: Sshd;
  readonly broker: TestBroker;
  readonly folder: string;
  readonly triage: Bus;
  readonly sentinel: Bus;
  readonly signer: Signer;
  readonly plans: ReadonlyMap<string, Plan>;
  readonly runs: ReadonlyMap<string, Run>;
  /** Every run message in the order in which they came. */
  readonly told: readonly Run[];
  /** What the stand-in was called with, one line each. */
  calls(verb?: string): string[];
  /** What the stand-in says of the unit. */
  setState(state: string): void;
  propose(over?: Partial<Proposal>): Promise<Plan>;
  approve(plan: Plan, over?: Partial<Omit<Approval, 'signature'>>): Approval;
  send(approval: Approval): void;
  /** Asks the worker with a person's signed order. */
  order(verb: string, data: Record<string, string>, by?: string): Promise<Record<string, unknown>>;
  /** The run of a plan once `isReached`. */
  runOf(plan: Plan, isReached: (run: Run) => boolean): Promise<Run>;
  refusalOf(plan: Plan): Promise<Run>;
  configure(change: (config: ConfigInput) => void): void;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** SIGKILL. */
  crash(): Promise<void>;
}

export async function startWorker(hosts: readonly string[] = ['web1']): Promise<Worker> {
  const sshd = await startSshd();
  const broker = await startTestBroker();
  const folder = mkdtempSync(join(tmpdir(), 'lares-worker-'));
  mkdirSync(join(folder, 'playbooks'));
  const signer = loadSigner(join(folder, 'keys'), 'triage');
  standIn(sshd);
  const config: ConfigInput = {
    hosts: Object.fromEntries(hosts.map((name) => [name, hostConfig(sshd)])),
    people: { approvers: [42] },
    remediation: { playbooks: 'playbooks', brake: { runs: 50 } },
  };
  const save = (): void => writeFileSync(join(folder, 'worker.json'), JSON.stringify({ url: broker.url, config }));
  const triage = broker.connect('triage');
  const plans = new Map<string, Plan>();
  const runs = new Map<string, Run>();
  const told: Run[] = [];
  triage.subscribe(planKind, (message) => void plans.set(message.id, message));
  triage.subscribe(runKind, (message) => {
    runs.set(message.id, message);
    told.push(message);
  });
  const sentinel = broker.connect('sentinel');
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    save();
    const started = fork(fileURLToPath(new URL('remediation-process.ts', import.meta.url)), [folder], { execArgv: [] });
    child = started;
    await new Promise((resolve, reject) => {
      started.once('message', resolve);
      started.once('exit', (code) => reject(new Error(`The worker ended with ${code} before it worked`)));
    });
  }

  async function end(how: (dying: ChildProcess) => void): Promise<void> {
    const dying = child;
    child = undefined;
    if (dying === undefined || dying.exitCode !== null) return;
    const exited = once(dying, 'exit');
    how(dying);
    await exited;
  }

  await start();
  await until(() => triage.connected && sentinel.connected, 'the bus');
  const callsFile = join(sshd.folder, 'calls');
  return {
    sshd,
    broker,
    folder,
    triage,
    sentinel,
    signer,
    plans,
    runs,
    told,
    calls: (verb = '') =>
      (existsSync(callsFile) ? readFileSync(callsFile, 'utf8') : '')
        .split('\n')
        .filter((line) => line.startsWith(verb) && line !== ''),
    setState: (state) => writeFileSync(join(sshd.folder, 'unit-state'), state),
    async propose(over = {}) {
      const proposal = proposalOf(hosts, over);
      let plan: Plan | undefined;
      triage.publish(proposalKind, proposal);
      await until(() => {
        plan = [...plans.values()].find((one) => one.proposal === proposal.id);
        return plan !== undefined;
      }, 'the plan');
      if (plan === undefined) throw new Error('there is no plan');
      return plan;
    },
    approve(plan, over = {}) {
      const approval = signApproval(approvalOf(plan, over), signer);
      triage.publish(approvalKind, approval);
      return approval;
    },
    send: (approval) => triage.publish(approvalKind, approval),
    order(verb, data, by = approver) {
      const signed = signOrder({ verb, data, by, at: Date.now() }, signer);
      return triage.request(verb, signed, AbortSignal.timeout(10_000));
    },
    async runOf(plan, isReached) {
      const id = `run-${plan.id.slice('plan-'.length)}`;
      await until(
        () => runs.has(id) && isReached(runs.get(id) as Run),
        `the run of ${plan.id}: ${JSON.stringify(runs.get(id))}`,
        60_000,
      );
      return runs.get(id) as Run;
    },
    async refusalOf(plan) {
      const id = `run-${plan.id.slice('plan-'.length)}-refused`;
      await until(() => runs.has(id), `the refusal of ${plan.id}`);
      return runs.get(id) as Run;
    },
    configure(change) {
      change(config);
      save();
    },
    start,
    stop: () => end((dying) => dying.send('stop')),
    crash: () => end((dying) => dying.kill('SIGKILL')),
    async [Symbol.asyncDispose]() {
      await end((dying) => dying.kill('SIGKILL'));
      await broker[Symbol.asyncDispose]();
      await sshd[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function hostConfig(sshd: Sshd): NonNullable<ConfigInput['hosts']>[string] {
  const { address, port, user, hostKeys, keyFile } = sshd.target;
  return { address, port, hostKeys, act: { user, keyFile } };
}

export function proposalOf(hosts: readonly string[], over: Partial<Proposal> = {}): Proposal {
  return {
    id: `proposal-${randomUUID()}`,
    playbook: 'restart-systemd-unit',
    parameters: { unit: 'nginx.service' },
    hosts: [...hosts],
    findings: ['00000000000000aa'],
    by: 'test',
    at: new Date().toISOString(),
    ...over,
  };
}

export function approvalOf(plan: Plan, over: Partial<Omit<Approval, 'signature'>> = {}): Omit<Approval, 'signature'> {
  return {
    id: randomUUID(),
    plan: plan.id,
    digest: plan.digest ?? '',
    decision: 'approve',
    approver,
    name: 'Ann',
    proof: { kind: 'tap' },
    decidedAt: new Date().toISOString(),
    expiresAt: new Date(Date.now() + 60_000).toISOString(),
    ...over,
  };
}

/** Answers as systemd 252 does for one unit and writes down every call. `restart` makes it active. */
function standIn(sshd: Sshd): void {
  writeFileSync(join(sshd.folder, 'unit-state'), 'failed');
  sshd.standIn(
    'systemctl',
    `cd "$LARES_TEST_HOST" || exit 9
echo "$*" >>calls
case "$1" in
show) case "$2" in
  *LoadState) echo loaded ;;
  *Names) echo "$5 alias-of-$5" ;;
  *ActiveState) cat unit-state ;;
  esac ;;
is-active) [ "$(cat unit-state)" = active ] ;;
restart|start) [ ! -f hold ] || { echo begun >>held; sh -c "$(cat hold)"; }; printf active >unit-state ;;
*) exit 5 ;;
esac`,
  );
}
