import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Failure } from '#bus/failure.ts';
import { lockInstance } from '#agents/runtime/instance-lock.ts';
import { until } from '../parts/until.ts';
import { FleetHost, type FleetHostOptions } from './host.ts';

const execute = promisify(execFile);
const here = import.meta.dirname;
const cache = process.env['LARES_LAB_CACHE'] ?? '/var/cache/lares-fleet';
/** So many labs fit on a machine side by side: they mostly wait, and each host takes some 200 MB. */
const seats = 4;
const tools = ['unshare', 'nsenter', 'ip', 'nft', 'lxc-start', 'mmdebstrap', 'ssh-keygen', 'mkfs.ext4'];

/** Why the lab cannot run on this machine, or undefined when it can. */
export async function labMissing(): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux';
  const missing: string[] = [];
  for (const tool of tools) {
    await execute('sh', ['-c', 'command -v "$1"', 'sh', tool]).catch(() => missing.push(tool));
  }
  if (missing.length > 0) return `missing: ${missing.join(' ')}`;
  return execute('unshare', ['-m', '-n', '-p', '--fork', 'true']).then(
    () => undefined,
    () => 'namespaces are not allowed here',
  );
}

interface Layers {
  base: string;
  services: string;
}

/** What a lab has for itself as long as its process holds the lock. */
interface Seat {
  number: number;
  lock: ReturnType<typeof lockInstance>;
}

/**
 * A throw-away fleet of LXC containers (Debian, systemd as pid 1, sshd) on a private bridge, in namespaces of its own.
 * This process reaches them at its `network` through a veth; nothing outside does.
 */
export class Lab implements AsyncDisposable {
  readonly #init: ChildProcess;
  readonly #pid: number;
  readonly #layers: Layers;
  readonly #seat: Seat;
  readonly #hosts = new Map<string, FleetHost>();
  /** The first three bytes of its addresses, such as `10.77.0`. */
  readonly network: string;
  /** A folder that only the inside has, in memory. */
  readonly state: string;
  /** Private key, accepted by every host for `root` and `lares`. */
  readonly keyFile: string;

  private constructor(init: ChildProcess, pid: number, held: { layers: Layers; seat: Seat }) {
    this.#init = init;
    this.#pid = pid;
    this.#layers = held.layers;
    this.#seat = held.seat;
    this.network = networkOf(held.seat);
    this.state = stateOf(held.seat);
    this.keyFile = join(`/proc/${pid}/root`, this.state, 'id_ed25519');
  }

  static async open(): Promise<Lab> {
    const seat = await takeSeat();
    const base = await image('base');
    const services = await image('services');
    const state = stateOf(seat);
    mkdirSync(state, { recursive: true });
    const arguments_ = [
      '-m',
      '-n',
      '-p',
      '-i',
      '-u',
      '--fork',
      '--kill-child',
      '--mount-proc',
      join(here, 'init.sh'),
      state,
      networkOf(seat),
    ];
    const init = spawn('unshare', arguments_, { stdio: ['ignore', 'ignore', 'pipe'] });
    let complaint = '';
    init.stderr.on('data', (bytes: Buffer) => (complaint += bytes.toString()));
    const pid = await childOf(init);
    await until(() => existsSync(`/proc/${pid}/root${state}/ready`), 'the lab', 10_000).catch((error: unknown) => {
      throw new Error(`The lab did not start: ${complaint}`, { cause: error });
    });
    const lab = new Lab(init, pid, { layers: { base, services }, seat });
    await lab.#prepare();
    return lab;
  }

  /** Runs a command inside the lab's namespaces; rejects when it fails. */
  async inside(...argv: string[]): Promise<string> {
    const enter = ['-t', String(this.#pid), '-m', '-n', '-p', '-i', '-u', '--', ...argv];
    return (await execute('nsenter', enter, { maxBuffer: 16_777_216 })).stdout;
  }

  /** Boots hosts side by side and waits until sshd answers and systemd has settled. */
  async boot(...options: FleetHostOptions[]): Promise<FleetHost[]> {
    const hosts = options.map((option) => new FleetHost(this, this.#layers, option));
    await Promise.all(hosts.map((host) => host.start()));
    for (const host of hosts) this.#hosts.set(host.name, host);
    await Promise.all(hosts.map((host) => host.settled()));
    return hosts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.remove()));
    await execute('ip', ['link', 'del', this.#link]).catch(() => undefined);
    const ended = new Promise((resolve) => this.#init.once('exit', resolve));
    process.kill(this.#pid, 'SIGKILL');
    await ended;
    rmSync(this.state, { recursive: true, force: true });
    this.#seat.lock.release();
  }

  /** The end of the wire on this side. */
  get #link(): string {
    return `lares-lab${this.#seat.number}`;
  }

  async #prepare(): Promise<void> {
    await this.inside('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'lab', '-f', `${this.state}/id_ed25519`);
    await execute('ip', ['link', 'del', this.#link]).catch(() => undefined);
    const peer = ['peer', 'name', 'uplink', 'netns', String(this.#pid)];
    await execute('ip', ['link', 'add', this.#link, 'type', 'veth', ...peer]);
    await execute('ip', ['addr', 'add', `${this.network}.254/24`, 'dev', this.#link]);
    await execute('ip', ['link', 'set', this.#link, 'up']);
    await this.inside('ip', 'link', 'set', 'uplink', 'master', 'lab0', 'up');
  }
}

function stateOf(seat: Seat): string {
  return `/run/lares-fleet-${seat.number}`;
}

function networkOf(seat: Seat): string {
  return `10.77.${seat.number}`;
}

/** Whoever comes when all seats are taken waits. The kernel takes a seat back however its holder ends. */
async function takeSeat(): Promise<Seat> {
  let seat: Seat | undefined;
  const isTaken = (): boolean => {
    for (let number = 0; number < seats && seat === undefined; number += 1) {
      const lock = lockOf(number);
      if (lock !== undefined) seat = { number, lock };
    }
    return seat !== undefined;
  };
  await until(isTaken, 'the lab of another test run to end', 600_000);
  if (seat === undefined) throw new Error('No seat was taken');
  return seat;
}

function lockOf(number: number): Seat['lock'] | undefined {
  try {
    return lockInstance('/run/lares-fleet-turn', `lab-${number}`);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return undefined;
  }
}

async function image(layer: 'base' | 'services'): Promise<string> {
  const { stdout } = await execute(join(here, 'image.sh'), [layer, cache], { maxBuffer: 67_108_864 });
  return stdout.trim();
}

async function childOf(parent: ChildProcess): Promise<number> {
  const children = `/proc/${parent.pid}/task/${parent.pid}/children`;
  const read = (): number => Number((existsSync(children) ? readFileSync(children, 'utf8') : '').trim().split(' ')[0]);
  await until(() => read() > 0, 'the init process of the lab', 5_000);
  return read();
}
