import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { until } from '../../../test/parts/until.ts';
import { check } from './process.ts';

kindContract(check, () => ({ name: 'nginx' }));

interface Fake {
  pid: number;
  name: string;
  state?: string;
  command?: string;
  rssPages?: number;
  ticks?: number;
  startTicks?: number;
}

function output(processes: readonly Fake[], lost: readonly string[] = []): string {
  const stat = (of: Fake): string => {
    const fields = Array.from({ length: 49 }, () => 0);
    fields[14 - 4] = of.ticks ?? 0;
    fields[22 - 4] = of.startTicks ?? 90_000;
    fields[24 - 4] = of.rssPages ?? 1_000;
    return `${of.pid} (${of.name}) ${of.state ?? 'S'} ${fields.join(' ')}`;
  };
  return sectionsText({
    units: '100 4096',
    uptime: '1000.00 5.0',
    stats: processes.map(stat).join('\n'),
    commands: processes.map(({ pid, command = '' }) => `/proc/${pid}/cmdline:${command} `).join('\n'),
    lost: lost.join('\n'),
    done: '',
  });
}

const nginx = [
  { pid: 10, name: 'nginx', command: 'nginx: master process /usr/sbin/nginx' },
  { pid: 11, name: 'nginx', command: 'nginx: worker process' },
];

async function look(text: string, options: object = {}) {
  return problems(await check.observe(check.options.parse(options), checkContext({ probe: answering(text) })));
}

describe('recorded processes', () => {
  test('one by name is found, one that is not there is missing, and too many are told', async () => {
    expect(await look(output(nginx), { name: 'nginx' })).toEqual([]);
    expect(await look(output(nginx), { name: 'caddy' })).toEqual([
      'critical process-missing: 0 of caddy run (wanted at least 1)',
    ]);
    expect(await look(output(nginx), { name: 'nginx', atMost: 1 })).toEqual([
      'warning process-too-many: 2 of nginx run (wanted 1 to 1)',
    ]);
  });

  test('a name that the kernel cut, and one with parentheses', async () => {
    const long = { pid: 5, name: 'prometheus-node', command: '/usr/bin/prometheus-node-exporter --web' };
    const odd = { pid: 6, name: 'a) S (b', command: '/x/odd' };
    expect(await look(output([long, odd]), { name: 'prometheus-node-exporter' })).toEqual([]);
    expect(await look(output([long, odd]), { name: 'odd' })).toEqual([]);
  });

  test('a pattern of the whole command line; a zombie does not count', async () => {
    expect(await look(output(nginx), { pattern: 'master process', atLeast: 1, atMost: 1 })).toEqual([]);
    const zombie = { pid: 12, name: 'nginx', state: 'Z' };
    expect(await look(output([zombie]), { name: 'nginx' })).toHaveLength(1);
  });

  test('memory and age', async () => {
    const fat = [{ pid: 1, name: 'jvm', rssPages: 262_144, startTicks: 0 }];
    expect(await look(output(fat), { name: 'jvm', memory: { warning: 512 }, oldest: '10m' })).toEqual([
      'warning process-memory: 1 of jvm use 1.0 GiB of memory',
      'warning process-too-old: the oldest of jvm runs for 16m40s (at most 10m)',
    ]);
  });

  test('CPU is what was used since the look before', async () => {
    let [text, now] = [output([{ pid: 1, name: 'jvm', ticks: 10_000 }]), 0];
    const context = checkContext();
    const observe = async () =>
      problems(
        await check.observe(check.options.parse({ name: 'jvm', cpu: { warning: 90 } }), {
          ...context,
          probe: answering(text),
          clock: { ...context.clock, now: () => now },
        }),
      );
    expect(await observe()).toEqual([]);
    [text, now] = [output([{ pid: 1, name: 'jvm', ticks: 16_000 }]), 60_000];
    expect(await observe()).toEqual(['warning process-cpu: 1 of jvm take 100 % of one CPU']);
  });

  test('a host is well until many zombies are left', async () => {
    expect(await look(output(nginx))).toEqual([]);
    const zombies = Array.from({ length: 60 }, (_none, n) => ({ pid: 100 + n, name: 'sh', state: 'Z' }));
    expect(await look(output(zombies))).toEqual(['warning process-zombies: looked at 60 processes, 60 zombies']);
  });

  test('a program whose package was removed underneath is critical, one that was replaced is information', async () => {
    const lost = [
      'gone 20 wazuh-manager.service /var/ossec/bin/wazuh-analysisd',
      'gone 21 wazuh-manager.service /var/ossec/bin/wazuh-analysisd',
      'replaced 22 nginx.service /usr/sbin/nginx',
    ];
    expect(await look(output(nginx, lost))).toEqual([
      'critical package-gone: /var/ossec/bin/wazuh-analysisd runs (pid 20, 21) but is no longer on the disk: its package was removed underneath',
      'info process-deleted-binary: /usr/sbin/nginx was replaced and the old one still runs (pid 22): a restart of nginx.service brings the new one',
    ]);
    expect(await look(output(nginx, lost), { ignore: ['/var/ossec/*', '/usr/sbin/nginx'] })).toEqual([]);
  });
});

// Programs below /tmp are not told of, and elsewhere only root may put one.
describe.skipIf(process.getuid?.() !== 0)('this machine (as root only)', () => {
  let folder = '';
  beforeEach(() => void (folder = mkdtempSync('/opt/lares-test-')));
  const children: ChildProcess[] = [];
  afterEach(async () => {
    for (const child of children.splice(0)) {
      const ended = once(child, 'exit');
      if (child.exitCode === null && child.kill('SIGKILL')) await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  });

  test('a real process by name, its open files, and its file when it is removed', async () => {
    const path = join(folder, 'lares-sleeper');
    copyFileSync('/bin/sleep', path);
    children.push(spawn(path, ['300'], { stdio: 'ignore' }));
    const context = checkContext();
    const options = check.options.parse({ name: 'lares-sleeper', atMost: 1, openFiles: {} });
    await until(async () => problems(await check.observe(options, context)).length === 0, 'the process');
    const found = await check.observe(options, context);
    expect(found.find(({ condition }) => condition === 'process-open-files')?.summary).toMatch(
      /has \d+ of \d+ files open$/,
    );
    rmSync(path);
    expect(problems(await check.observe(options, context))).toEqual([
      expect.stringMatching(`^critical package-gone: ${path} runs \\(pid \\d+\\) but is no longer on the disk`),
    ]);
    copyFileSync('/bin/sleep', path);
    expect(problems(await check.observe(options, context)).join()).toMatch(/^info process-deleted-binary/);
  });
});
