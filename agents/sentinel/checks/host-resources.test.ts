import { describe, expect, test } from 'vitest';
import type { CommandRunner } from '#agents/runtime/command.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { answering, checkContext, ending } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './host-resources.ts';

kindContract(check, () => ({}));

const options = check.options.parse({});
const hour = 3_600_000;

function sections(parts: Record<string, string | { text: string; code: number }>): string {
  return Object.entries(parts)
    .map(([name, part]) => {
      const { text, code } = typeof part === 'string' ? { text: part, code: 0 } : part;
      return `\n@@${name}\n${text}\n\n@@end ${name} ${code}\n`;
    })
    .join('');
}

/** What an idle Debian VM prints. */
const idle = {
  time: '1795188000',
  container: 'none',
  mounts: '/dev/sda1 / ext4 rw 0 0',
  blocks: '/dev/sda1 ext4 40470732 12000000 26000000 32% /',
  inodes: '/dev/sda1 2621440 200000 2421440 8% /',
  meminfo: 'MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\nSwapTotal: 1000000 kB\nSwapFree: 1000000 kB',
  vmstat: 'pswpin 0\npswpout 0\noom_kill 0',
  loadavg: '0.10 0.12 0.09 1/200 4711',
  cpus: '2',
  stat: 'cpu  1000 0 500 8000 500 0 0 0 0 0',
  clock: 'NTP=yes\nNTPSynchronized=yes',
  reboot: 'no',
  ports: 'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*',
  updates: 'Reading package lists...',
};

function context(more: Partial<CheckContext> = {}): CheckContext {
  const base = checkContext(more);
  return { ...base, clock: { ...base.clock, now: () => 1_795_188_000_000 } };
}

function look(parts: Parameters<typeof sections>[0], of: CheckContext = context()): Promise<Observation[]> {
  return check.observe(options, { ...of, probe: answering(sections(parts)) });
}

function levelOf(observations: readonly Observation[], condition: string) {
  const reading = observations.find((observation) => observation.condition === condition)?.reading;
  if (reading?.is !== 'level') throw new Error(`no level ${condition}`);
  return reading;
}

function badStates(observations: readonly Observation[]): string[] {
  return observations.flatMap(({ condition, resource, reading }) => {
    if (reading.is === 'unknown') return [`unknown ${condition} ${resource}: ${reading.reason}`];
    if (reading.is === 'asleep') return [`asleep ${condition} ${resource}`];
    if (reading.is === 'state') return reading.ok ? [] : [`${reading.severity} ${condition} ${resource}`];
    const isBeyond = (level?: { trigger: number }): boolean =>
      level !== undefined &&
      (reading.bad === 'above' ? reading.value >= level.trigger : reading.value <= level.trigger);
    return isBeyond(reading.critical) || isBeyond(reading.warning) ? [`level ${condition} ${resource}`] : [];
  });
}

describe('an idle machine', () => {
  test('is well in every part', async () => {
    const found = await look(idle);
    expect(badStates(found)).toEqual([]);
    expect(found.map(({ condition }) => condition)).toEqual([
      'host-resources',
      'filesystem-full',
      'filesystem-read-only',
      'filesystem-inodes-low',
      'memory-low',
      'swap-used',
      'load-high',
      'clock-unsynchronised',
      'reboot-required',
      'security-updates',
    ]);
  });

  test('this one is well, and what it says fits its own contract', async () => {
    const found = await check.observe(options, checkContext());
    expect(found[0]).toMatchObject({ condition: 'host-resources', reading: { is: 'state', ok: true } });
    // On a busy machine the package manager may take longer than it is given, and then that is said.
    const unknown = badStates(found).filter((text) => text.startsWith('unknown'));
    expect(unknown.filter((text) => !text.startsWith('unknown security-updates'))).toEqual([]);
    expect(found.map(({ condition }) => condition)).toContain('filesystem-full');
    expect(levelOf(found, 'memory-low').value).toBeGreaterThan(0);
  });
});

describe('one command', () => {
  test('the first look after a start does not wait for the package manager', async () => {
    const argvs: (readonly string[])[] = [];
    const probe: CommandRunner = {
      run(argv) {
        argvs.push(argv);
        return Promise.resolve({ end: 'unreachable', reason: 'only the question counts' });
      },
    };
    await check.observe(options, checkContext({ probe, isFirst: true }));
    await check.observe(options, checkContext({ probe }));
    expect(argvs.map((argv) => argv.includes('updates'))).toEqual([false, true]);
  });

  test('gathers everything; the package manager is asked every six hours only', async () => {
    const argvs: (readonly string[])[] = [];
    const probe: CommandRunner = {
      run: (argv, command) => {
        argvs.push(argv);
        return answering(sections(idle)).run(argv, command);
      },
    };
    const base = context({ probe });
    const at = (now: number): CheckContext => ({ ...base, clock: { ...base.clock, now: () => now } });
    for (const now of [hour, hour + 60_000, 8 * hour]) await check.observe(options, at(now));
    expect(argvs.map((argv) => argv.slice(4))).toEqual([['ports', 'updates'], ['ports'], ['ports', 'updates']]);
  });

  test('that does not end well is unknown as a whole', async () => {
    const probe = ending({ end: 'timed-out', afterMs: 60_000, output: { stdout: '', stderr: '', truncated: false } });
    expect(badStates(await check.observe(options, context({ probe })))).toEqual([
      'unknown host-resources host: no answer within 60s',
    ]);
    expect(
      badStates(await check.observe(options, context({ probe: answering('This account is disabled.\n') }))),
    ).toEqual(['unknown host-resources host: the host did not run the script']);
  });

  test('whose part fails makes that part unknown and no other', async () => {
    const found = await look({ ...idle, blocks: { text: '', code: 124 }, updates: { text: '', code: 100 } });
    expect(badStates(found)).toEqual([
      'unknown filesystem-full filesystems: "df" did not answer',
      'unknown filesystem-read-only filesystems: "df" did not answer',
      'unknown filesystem-inodes-low filesystems: "df" did not answer',
      'unknown security-updates packages: "apt-get -s upgrade" ended with status 100',
    ]);
    expect(levelOf(found, 'memory-low').value).toBe(25);
  });
});

describe('problems', () => {
  test.each<[string, Partial<typeof idle>, string[]]>([
    ['a full disk', { blocks: '/dev/sda1 ext4 40470732 35000000 3000000 93% /' }, ['level filesystem-full /']],
    ['few inodes', { inodes: '/dev/sda1 100 95 5 95% /' }, ['level filesystem-inodes-low /']],
    ['little memory', { meminfo: 'MemTotal: 4000000 kB\nMemAvailable: 100000 kB' }, ['level memory-low memory']],
    ['load', { loadavg: '9 9 5.0 1/200 1' }, ['level load-high load']],
    ['a clock without a server', { clock: 'NTP=yes\nNTPSynchronized=no' }, ['warning clock-unsynchronised clock']],
    ['a pending reboot', { reboot: 'required\nlinux-image-6.1\nlinux-image-6.1' }, ['info reboot-required system']],
    [
      'a security update',
      { updates: 'Inst openssl [1] (2 Debian-Security:12/oldstable-security [amd64])' },
      ['info security-updates packages'],
    ],
  ])('%s', async (_name, parts, problems) => {
    expect(badStates(await look({ ...idle, ...parts }))).toEqual(problems);
  });

  test('a file system that becomes read-only, but not one that always was', async () => {
    const of = context();
    await look(idle, of);
    const later = {
      ...idle,
      mounts: '/dev/sda1 / ext4 ro 0 0\n/dev/sr0 /cd ext4 ro 0 0',
      blocks: `${idle.blocks}\n/dev/sr0 ext4 100 100 0 100% /cd`,
    };
    expect(badStates(await look(later, of))).toEqual(['critical filesystem-read-only /']);
  });

  test.each([
    ['waits for its disk for the better part of an hour', '7 6 5.0 1/200 1', hour],
    ['can no longer do its work', '9 9 9.0 1/200 1', hour / 4],
  ])('a load of a machine that %s', async (_name, loadavg, holdMs) => {
    const found = await look({ ...idle, loadavg });
    expect(found.find(({ condition }) => condition === 'load-high')).toMatchObject({ holdMs });
  });

  test('a new open port, with the process that has it', async () => {
    const of = context();
    await look(idle, of);
    const found = await look(
      { ...idle, ports: `${idle.ports}\ntcp LISTEN 0 1 *:4444 *:* users:(("nc",pid=9,fd=3))` },
      of,
    );
    expect(badStates(found)).toEqual(['info port-new tcp/4444']);
    expect(found.at(-1)?.labels).toEqual({ port: 'tcp/4444', process: 'nc' });
  });

  test('a container has neither a load nor a clock of its own', async () => {
    const found = await look({
      ...idle,
      container: 'lxc',
      loadavg: '90 90 90 1/1 1',
      clock: 'NTP=yes\nNTPSynchronized=no',
    });
    expect(badStates(found)).toEqual([]);
    expect(found.map(({ condition }) => condition)).not.toContain('load-high');
  });

  test('a clock that is off is told for other hosts only, to the second', async () => {
    const ssh = { host: { name: 'web', config: { via: 'ssh' } } } as unknown as Partial<CheckContext>;
    expect(badStates(await look({ ...idle, time: '1795188600' }, context(ssh)))).toEqual(['level clock-offset clock']);
    expect(levelOf(await look({ ...idle, time: '1795188600' }, context(ssh)), 'clock-offset').value).toBe(600);
    expect(levelOf(await look({ ...idle, time: '1795187999' }, context(ssh)), 'clock-offset').value).toBe(0);
    expect(badStates(await look({ ...idle, time: '1795188600' }))).toEqual([]);
  });

  test('parts that are off are not told', async () => {
    const off = check.options.parse({ off: ['memory', 'ports', 'updates', 'swap'] });
    const found = await check.observe(off, { ...context(), probe: answering(sections(idle)) });
    expect(found.map(({ condition }) => condition)).not.toContain('memory-low');
  });
});

describeWith(['ps'], 'evidence of this machine', () => {
  test.each([
    ['memory-low', 'Processes by memory'],
    ['load-high', 'Processes by CPU'],
  ])('%s', async (condition, title) => {
    const observation = { condition, resource: 'x', summary: '', reading: { is: 'unknown', reason: '' } } as const;
    const evidence = (await check.evidence.gather(options, checkContext({ probe: localRunner }), observation)) ?? [];
    expect(evidence.map((one) => one.title)).toContain(title);
    for (const line of evidence.flatMap(({ lines }) => lines)) expect(line.length).toBeLessThanOrEqual(600);
  });

  test('a path that looks like an option reaches du as a path', async () => {
    const observation: Observation = {
      condition: 'filesystem-full',
      resource: '/proc',
      labels: { path: '/sys/$(touch x); --help' },
      summary: '',
      reading: { is: 'unknown', reason: '' },
    };
    const evidence = (await check.evidence.gather(options, checkContext(), observation)) ?? [];
    expect(evidence.map((one) => one.title)).not.toContain('Largest folders (KiB)');
  });
});

describe('the CPUs', () => {
  const busy = { ...idle, stat: 'cpu  10000 0 500 8500 500 0 0 0 0 0' };

  test('are judged from the second look on, by what was not idle in between', async () => {
    const of = context();
    expect((await look(idle, of)).map(({ condition }) => condition)).not.toContain('cpu-high');
    expect(levelOf(await look(busy, of), 'cpu-high').value).toBeCloseTo(94.7, 1);
  });

  test('of a container count where lxcfs shows its own', async () => {
    for (const [mounts, expected] of [
      [idle.mounts, false],
      [`${idle.mounts}\nlxcfs /proc/stat fuse.lxcfs rw 0 0`, true],
    ] as const) {
      const of = context();
      await look({ ...idle, container: 'lxc', mounts }, of);
      const found = await look({ ...busy, container: 'lxc', mounts }, of);
      expect(found.some(({ condition }) => condition === 'cpu-high')).toBe(expected);
    }
  });

  test('and memory and disks last as long as the configuration says', async () => {
    const of = context();
    const seed = check.options.parse({
      memory: { warning: 90, lasts: '5m' },
      cpu: { lasts: '20m' },
      filesystems: { lasts: '7m' },
    });
    await check.observe(seed, { ...of, probe: answering(sections(idle)) });
    const found = await check.observe(seed, { ...of, probe: answering(sections(busy)) });
    const holds = found.filter(({ condition }) => ['memory-low', 'cpu-high', 'filesystem-full'].includes(condition));
    expect(holds.map(({ holdMs }) => holdMs)).toEqual([420_000, 300_000, 1_200_000]);
  });
});
