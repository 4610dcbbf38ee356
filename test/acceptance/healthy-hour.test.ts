import { expect, test } from 'vitest';
import { planChecks } from '#config/planned-checks.ts';
import type { CommandEnd, CommandRunner } from '#agents/runtime/command.ts';
import type { Probes } from '#agents/sentinel/probe.ts';
import { ClusterModel } from '../parts/cluster-model.ts';
import { startDockerEngine } from '../parts/docker-engine.ts';
import { FakeCommands } from '../parts/fake-commands.ts';
import { proxmoxToken, startFakeProxmox } from '../parts/fake-proxmox.ts';
import { SentinelHours } from '../parts/sentinel-hours.ts';

const minuteMs = 60_000;
/** The backup of the machine, in minutes of the hour. */
const backup = { from: 5, to: 25 };

process.env['LARES_TEST_PVE'] = proxmoxToken;

/**
 * This machine as it is, but with two CPUs whose load follows a story: for twenty minutes `tar` takes one of them and
 * all else waits for the disk, and the page cache takes nearly all memory.
 */
class BusyMachine implements Disposable {
  isBackingUp = false;
  readonly #commands: FakeCommands;
  readonly #ticks = { user: 10_000, system: 3_000, idle: 500_000, wait: 1_000 };
  #load = 0.3;

  constructor() {
    this.#commands = new FakeCommands({
      'apt-get': { stdout: '0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n' },
      ss: { stdout: 'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n' },
    });
    this.#setVolumes();
  }

  /** One minute of it. */
  pass(): void {
    this.#setVolumes();
    const share = this.isBackingUp
      ? { user: 0.46, system: 0.06, idle: 0.01, wait: 0.47 }
      : { user: 0.02, system: 0.01, idle: 0.96, wait: 0.01 };
    for (const key of ['user', 'system', 'idle', 'wait'] as const) this.#ticks[key] += Math.round(12_000 * share[key]);
    // The kernel's own average over fifteen minutes: seven processes wait for the disk.
    this.#load += ((this.isBackingUp ? 7 : 0.3) - this.#load) * (1 - Math.exp(-1 / 15));
  }

  get probes(): Probes {
    const runner: CommandRunner = {
      run: async (argv, options) => this.#told(await this.#commands.probe.run(argv, options)),
    };
    return { runnerFor: () => runner, close: () => Promise.resolve() };
  }

  [Symbol.dispose](): void {
    this.#commands[Symbol.dispose]();
  }

  /** A snapshot of the root volume stands while it is copied. */
  #setVolumes(): void {
    const volume = { vg_name: 'pve', lv_size: '107374182400', metadata_percent: '', lv_health_status: '' };
    const root = {
      ...volume,
      lv_name: 'root',
      lv_attr: this.isBackingUp ? 'owi-aos---' : '-wi-ao----',
      data_percent: '',
      origin: '',
    };
    const snapshot = {
      ...volume,
      lv_name: 'snap_backup',
      lv_attr: 'swi-a-s---',
      data_percent: '23.10',
      origin: 'root',
    };
    const group = { vg_name: 'pve', vg_size: '500000000000', vg_free: '17179869184', vg_missing_pv_count: '0' };
    const report = (rows: object): object => ({ stdout: JSON.stringify({ report: [rows] }) });
    this.#commands.set('vgs', report({ vg: [group] }));
    this.#commands.set('lvs', report({ lv: this.isBackingUp ? [root, snapshot] : [root] }));
    this.#commands.set('pvs', report({ pv: [{ pv_name: '/dev/sda3', vg_name: 'pve', pv_missing: '' }] }));
  }

  /** What the script for the host's resources printed, with the story's numbers in it. */
  #told(end: CommandEnd): CommandEnd {
    if (end.end !== 'exited' || !end.output.stdout.includes('@@loadavg')) return end;
    const { user, system, idle, wait } = this.#ticks;
    const load = this.#load.toFixed(2);
    const parts: Record<string, string> = {
      container: 'none',
      cpus: '2',
      loadavg: `${load} ${load} ${load} 3/400 4242`,
      stat: `cpu  ${user} 0 ${system} ${idle} ${wait} 0 0 0 0 0`,
      meminfo: this.#memory(),
    };
    const stdout = Object.entries(parts).reduce(
      (text, [name, part]) =>
        text.replace(new RegExp(`@@${name}\n[^]*?\n@@end ${name} `), `@@${name}\n${part}\n\n@@end ${name} `),
      end.output.stdout,
    );
    return { ...end, output: { ...end.output, stdout } };
  }

  #memory(): string {
    const cached = this.isBackingUp ? 6_900_000 : 2_000_000;
    const free = 7_100_000 - cached;
    const lines = { MemTotal: 8_000_000, MemFree: free, MemAvailable: 6_800_000, Buffers: 40_000, Cached: cached };
    const swap = { SwapCached: 0, SwapTotal: 2_000_000, SwapFree: 1_900_000, Shmem: 20_000, SReclaimable: 100_000 };
    return Object.entries({ ...lines, ...swap })
      .map(([name, kilobytes]) => `${name}: ${kilobytes} kB`)
      .join('\n');
  }
}

test('a healthy machine that is doing its backups and has some guests switched off produces no alert in its first hour', async () => {
  const startAt = Date.now();
  const clock = { now: () => startAt };
  using machine = new BusyMachine();
  const cluster = new ClusterModel({ nodes: 1, guests: 8, now: () => clock.now() });
  await using proxmox = await startFakeProxmox(cluster);
  await using docker = await startDockerEngine([
    { name: 'web', policy: 'unless-stopped', health: 'healthy' },
    { name: 'import-of-last-year', status: 'exited', exitCode: 0, policy: 'no' },
  ]);
  for (const vmid of [103, 104]) Object.assign(cluster.guest(vmid), { onboot: false, status: 'stopped' });
  Object.assign(cluster.guest(105), { onboot: false, status: 'stopped', template: true });
  const looked = new Set<string>();
  await using hours = await SentinelHours.begin({
    startAt,
    onLook: ({ kind }) => void looked.add(kind),
    probes: machine.probes,
    config: {
      hosts: {
        here: { via: 'local', watch: [{ preset: 'proxmox', url: proxmox.url, token: { env: 'LARES_TEST_PVE' } }] },
      },
      checks: [{ id: 'containers', kind: 'docker-container', host: 'here', socket: docker.socketPath }],
    },
  });
  clock.now = () => hours.clock.now();
  const round = await hours.sentinel.firstRound();
  expect(round).toMatchObject({ bad: 0, troubles: [] });
  const task = { type: 'vzdump', node: 'pve1', id: '101' };
  for (let minute = 1; minute <= 60; minute += 1) {
    machine.isBackingUp = minute >= backup.from && minute < backup.to;
    if (minute === backup.from) {
      cluster.guest(101).lock = 'backup';
      cluster.addTask(task);
    }
    if (minute === backup.to) {
      delete cluster.guest(101).lock;
      Object.assign(cluster.tasks.at(-1) ?? {}, { endtime: cluster.seconds, status: 'OK' });
    }
    machine.pass();
    await hours.clock.advance(minuteMs);
  }
  const planned = new Set(planChecks(hours.config).checks.map(({ check }) => check.kind));
  expect(planned.difference(looked)).toEqual(new Set());
  expect(planned.size).toBeGreaterThan(15);
  expect(hours.fired.map(({ check, severity, summary }) => `${check} ${severity}: ${summary}`)).toEqual([]);
}, 180_000);
