import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CommandRunner } from '#agents/runtime/command.ts';
import { suidScript } from '#agents/sentinel/probes/suid-script.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { FakeCommands } from '../../../test/parts/fake-commands.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { namedProblems } from '../../../test/parts/problems.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './suid-files.ts';

kindContract(check, () => ({}));

const hour = 3_600_000;
const sum = 'abcdef0123'.padEnd(64, '0');
const well = {
  mounts: '/\n/home',
  files: '4755:root:root:72000:/usr/bin/su\n2755:root:shadow:30000:/usr/bin/chage',
  sums: `${sum}  /usr/bin/su`,
  caps: '/usr/bin/ping cap_net_raw=ep',
  done: '',
};

function watcher(owners = '', recent = '') {
  const context = checkContext();
  return (parts: Record<string, string | { text: string; code: number }> = {}, now = 0) => {
    const probe: CommandRunner = {
      run: (argv, command) => {
        const isWalk = argv[2]?.startsWith(suidScript) === true;
        const text = isWalk ? sectionsText({ ...well, ...parts }) : sectionsText({ owners, recent, done: '' });
        return answering(text).run(argv, command);
      },
    };
    const clock = { ...context.clock, now: () => now };
    return check.observe(check.options.parse({}), { ...context, probe, clock });
  };
}

describe('files with the rights of another', () => {
  test('as they were at the first look are well, and counted', async () => {
    const found = await watcher()();
    expect(namedProblems(found)).toEqual([]);
    expect(found[0]?.summary).toBe('3 files with the rights of another or a capability on 2 file systems');
  });

  test('a new one of no package is critical, until it is gone', async () => {
    const look = watcher();
    await look();
    const files = `${well.files}\n4755:root:root:1000:/tmp/.x`;
    expect(namedProblems(await look({ files }, hour))).toEqual([
      'critical suid-file-changed /tmp/.x: /tmp/.x is new (4755 root:root 1000), of no package',
    ]);
    expect(namedProblems(await look({}, 2 * hour))).toEqual([]);
  });

  test('a program that an upgrade replaced is information with the package, without dpkg a warning', async () => {
    const sums = well.sums.replace('abcdef', 'fedcba');
    const upgraded = watcher('util-linux /usr/bin/su', '2026-11-20 10:00:00 upgrade util-linux:amd64 2.38.1-5+deb12u3');
    const touched = watcher('util-linux /usr/bin/su', '2026-11-20 10:00:00 upgrade bash:amd64 5.2');
    for (const look of [upgraded, touched]) await look();
    const [change] = (await upgraded({ sums }, hour)).slice(1);
    expect(change).toMatchObject({ labels: { path: '/usr/bin/su', package: 'util-linux' } });
    expect(namedProblems(await upgraded({ sums }, hour))[0]).toMatch(/^info .* with package util-linux$/);
    expect(namedProblems(await touched({ sums }, hour))[0]).toMatch(/^warning .* which dpkg did not touch$/);
  });

  test('a capability is told as one', async () => {
    const look = watcher();
    await look();
    const caps = `${well.caps}\n/usr/bin/python3.11 cap_setuid=ep`;
    expect(namedProblems(await look({ caps }, hour))).toEqual([
      'critical file-capability-changed /usr/bin/python3.11: /usr/bin/python3.11 is new (cap_setuid=ep), of no package',
    ]);
  });

  test('a walk that took too long is unknown and forgets nothing', async () => {
    const look = watcher();
    await look();
    expect(namedProblems(await look({ files: { text: '', code: 124 } }, hour))).toEqual([
      'unknown suid-file-changed files: the disks were not walked within 30s: raise the "timeout" of this check',
    ]);
    expect(namedProblems(await look({}, 2 * hour))).toEqual([]);
  });
});

describeWith(['find', 'getcap', 'setcap', 'sha256sum'], 'a folder in place of the disks', () => {
  let folder = '';
  let fakes: FakeCommands;
  beforeEach(() => {
    folder = mkdtempSync('/var/tmp/lares-suid-');
    // The list of file systems is read by awk.
    fakes = new FakeCommands({ awk: { stdout: folder } });
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
    fakes[Symbol.dispose]();
  });

  test.skipIf(process.getuid?.() !== 0)(
    'gets a program with the rights of root and one with a capability',
    async () => {
      const context = checkContext({ timeoutMs: 20_000, probe: fakes.probe });
      const options = check.options.parse({});
      expect(namedProblems(await check.observe(options, context))).toEqual([]);
      const [suid, capable] = [join(folder, 'su $(id)'), join(folder, 'capable')];
      for (const path of [suid, capable]) writeFileSync(path, 'x', { mode: 0o755 });
      chmodSync(suid, 0o4755);
      await promisify(execFile)('/usr/sbin/setcap', ['cap_net_raw+ep', capable]);
      const found = await check.observe(options, context);
      const sum = createHash('sha256').update('x').digest('hex').slice(0, 10);
      expect(new Set(namedProblems(found))).toEqual(
        new Set([
          `critical suid-file-changed ${suid}: ${suid} is new (4755 root:root ${sum}), of no package`,
          `critical file-capability-changed ${capable}: ${capable} is new (cap_net_raw=ep), of no package`,
        ]),
      );
      const change = found.find(({ resource }) => resource === suid);
      const evidence = change === undefined ? [] : await check.evidence.gather(options, context, change);
      expect(evidence[0]?.lines[0]).toContain('mode 4755 owner root:root');
    },
  );
});
