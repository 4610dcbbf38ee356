import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { programPath } from '../parts/daemon.ts';
import { hasSshd } from '../parts/sshd.ts';
import { command, type Cost, playbook, runCold, runOurs, spend, steps } from './playbook-ssh.ts';
import { cpuSecondsOfEnded, temporaryFolder } from './process.ts';
import type { Aim, Bench, Row } from './row.ts';
import { interleave, median } from './samples.ts';
import { openServers, type SshHost } from './ssh-fleet.ts';
import { startWorker } from './worker-stand.ts';

const execute = promisify(execFile);
const rounds = 3;
const program = 'ansible-playbook';
/** Of Ansible's cost, on 20 hosts. */
const aims: Record<'cold' | 'warm', Aim> = {
  cold: { of: 'ratio', atMost: 0.125 },
  warm: { of: 'ratio', atMost: 0.067 },
};

/** As `playbook-ssh`; Ansible at its fastest: pipelining, no facts, a fork for each host. Its modules need Python there. */
export const playbookPeer: Bench = {
  about: `three steps on 1 and on 20 hosts, ${rounds} rounds, beside Ansible with pipelining and ControlPersist`,
  missing() {
    if (!hasSshd) return Promise.resolve('needs Debian package openssh-server');
    return Promise.resolve(programPath(program) === undefined ? 'needs Debian package ansible-core' : undefined);
  },
  async run() {
    await using fleet = await openServers(20);
    const one = await compare(fleet.hosts.slice(0, 1));
    const all = await compare(fleet.hosts);
    return [...one, ...all];
  },
};

async function compare(hosts: readonly SshHost[]): Promise<Row[]> {
  using folder = temporaryFolder();
  await using ansible = new Ansible(folder.path, hosts);
  const cold = await interleave(rounds, { ours: () => runCold(folder.path, hosts), floor: () => ansible.runCold() });
  await using worker = await startWorker(mkdtempSync(join(folder.path, 'warm-')), { hosts, playbook });
  await ansible.run();
  await runOurs(worker, hosts);
  const warm = await interleave(rounds, { ours: () => runOurs(worker, hosts), floor: () => ansible.run() });
  const where = `${hosts.length} host${hosts.length === 1 ? '' : 's'}`;
  const row = (name: string, pair: typeof cold, of: keyof Cost): Row => ({
    name: `playbook-peer ${name}, ${where}`,
    ours: median(pair.ours.map((cost) => cost[of])),
    floor: median(pair.floor.map((cost) => cost[of])),
    against: 'ansible-playbook',
    unit: of === 'ms' ? 'ms' : 's',
  });
  const hasAim = hosts.length > 1;
  return [
    { ...row('cold', cold, 'ms'), ...(hasAim && { aim: aims.cold }) },
    { ...row('warm', warm, 'ms'), ...(hasAim && { aim: aims.warm }) },
    row('cold CPU', cold, 'cpuSeconds'),
    row('warm CPU', warm, 'cpuSeconds'),
  ];
}

/** One inventory and one play, with its connections in a folder of its own. */
class Ansible implements AsyncDisposable {
  readonly #folder: string;
  readonly #sockets: string;
  readonly #hosts: number;

  constructor(folder: string, hosts: readonly SshHost[]) {
    this.#folder = folder;
    this.#hosts = hosts.length;
    this.#sockets = join(folder, 'cp');
    mkdirSync(this.#sockets, { mode: 0o700 });
    writeFileSync(
      join(folder, 'hosts.json'),
      JSON.stringify({ all: { hosts: Object.fromEntries(hosts.map(variables)) } }),
    );
    writeFileSync(join(folder, 'ansible.cfg'), '');
    const tasks = steps.map((name) => ({ name, 'ansible.builtin.command': { argv: command } }));
    const play = [{ hosts: 'all', gather_facts: false, tasks }];
    writeFileSync(join(folder, 'play.json'), JSON.stringify(play));
  }

  run(): Promise<Cost> {
    return spend(cpuSecondsOfEnded, async () => {
      await execute(program, ['-i', 'hosts.json', '--forks', String(this.#hosts), 'play.json'], {
        cwd: this.#folder,
        env: { ...process.env, ...this.#settings() },
      });
    });
  }

  async runCold(): Promise<Cost> {
    await this.#disconnect();
    return this.run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disconnect();
  }

  async #disconnect(): Promise<void> {
    const end = (socket: string): Promise<unknown> =>
      execute('ssh', ['-F', 'none', '-O', 'exit', '-o', `ControlPath=${join(this.#sockets, socket)}`, 'any']);
    await Promise.all(readdirSync(this.#sockets).map((socket) => end(socket).catch(() => undefined)));
  }

  #settings(): NodeJS.ProcessEnv {
    return {
      HOME: this.#folder,
      LC_ALL: 'C.UTF-8',
      ANSIBLE_CONFIG: join(this.#folder, 'ansible.cfg'),
      ANSIBLE_PIPELINING: 'True',
      ANSIBLE_HOST_KEY_CHECKING: 'False',
      ANSIBLE_SSH_ARGS: '-F none -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=/dev/null',
      ANSIBLE_SSH_CONTROL_PATH_DIR: this.#sockets,
    };
  }
}

function variables({ name, address, port, user, keyFile }: SshHost): [string, Record<string, string | number>] {
  const ssh = { ansible_host: address, ansible_port: port, ansible_user: user, ansible_ssh_private_key_file: keyFile };
  return [name, { ...ssh, ansible_python_interpreter: '/usr/bin/python3' }];
}
