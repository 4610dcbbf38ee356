import { execFile } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = `const told: object = {
  pid: process.pid,
  given: process.argv.slice(2),
  flags: process.execArgv,
  arenas: process.env['MALLOC_ARENA_MAX'],
};
process.stdout.write(JSON.stringify(told));
`;

test('the program keeps the process id, the arguments and the flags of Node, and has one malloc arena', async () => {
  using installation = new Installation(program);
  const started = installation.start(['up', '--json'], ['--stack-trace-limit=7']);
  const { pid } = started.child;
  expect(JSON.parse(String((await started).stdout))).toEqual({
    pid,
    given: ['up', '--json'],
    flags: ['--stack-trace-limit=7'],
    arenas: '1',
  });
});

test('types are stripped once, and again when the source has changed', async () => {
  using installation = new Installation("const word: string = 'one';\nprocess.stdout.write(word);\n");
  expect((await installation.start()).stdout).toBe('one');
  const [kept = ''] = installation.kept();
  expect(readFileSync(kept, 'utf8')).toMatch(
    /^const word {9}= 'one';\nprocess\.stdout\.write\(word\);\n\n\/\/[0-9a-f]{64}$/,
  );
  const { ino } = statSync(kept);
  expect((await installation.start()).stdout).toBe('one');
  expect(statSync(kept).ino).toBe(ino);
  writeFileSync(installation.main, "const word: string = 'two';\nprocess.stdout.write(word);\n");
  expect(await installation.start()).toEqual({ stdout: 'two', stderr: '' });
});

test.each([
  ['is empty, as after a power cut', (kept: string) => writeFileSync(kept, '')],
  ['was cut', (kept: string) => truncateSync(kept, 20)],
  ['was changed', (kept: string) => writeFileSync(kept, readFileSync(kept, 'utf8').replace('well', 'ill'))],
  ['anybody may write', (kept: string) => chmodSync(kept, 0o666)],
])('what is kept and %s is not run, and is kept anew', async (_what, spoil) => {
  using installation = new Installation("process.stdout.write('well' as string);\n");
  await installation.start();
  const [kept = ''] = installation.kept();
  const [text, { ino, mode }] = [readFileSync(kept, 'utf8'), statSync(kept)];
  spoil(kept);
  expect((await installation.start()).stdout).toBe('well');
  const after = statSync(kept);
  expect({ text: readFileSync(kept, 'utf8'), mode: after.mode }).toEqual({ text, mode });
  expect(after.ino).not.toBe(ino);
});

test.runIf(process.getuid?.() === 0)('what another user has put there is not run', async () => {
  using installation = new Installation("process.stdout.write('well' as string);\n");
  await installation.start();
  const [kept = ''] = installation.kept();
  chownSync(kept, nobody, nobody);
  expect((await installation.start()).stdout).toBe('well');
  expect(statSync(kept).uid).toBe(0);
});

test.runIf(process.getuid?.() === 0)('a user without an entry, a home or a right to write can start it', async () => {
  using installation = new Installation("process.stdout.write('well' as string);\n");
  chmodSync(installation.folder, 0o755);
  const { HOME: _, ...homeless } = process.env;
  const launcher = join(installation.folder, 'agents', 'launch.cjs');
  const options = { uid: nobody, gid: nobody, env: homeless, cwd: '/' };
  expect(await run(process.execPath, [launcher], options)).toEqual({ stdout: 'well', stderr: '' });
});

test('nothing is kept in a working directory, and no home is made', async () => {
  using installation = new Installation("process.stdout.write('well' as string);\n");
  rmSync(join(installation.folder, 'node_modules'), { recursive: true });
  writeFileSync(join(installation.folder, 'node_modules'), 'not a folder');
  const before = readdirSync(installation.folder);
  for (const home of ['', '.', join(installation.folder, 'none')]) {
    expect((await installation.start([], [], { HOME: home })).stdout).toBe('well');
  }
  expect(readdirSync(installation.folder)).toEqual(before);
});

test('what is installed is stripped before the first start', async () => {
  using installation = new Installation(program);
  await installation.start(['--link']);
  expect(installation.kept()).toHaveLength(1);
});

test('it starts where nothing can be kept', async () => {
  using installation = new Installation("process.stdout.write('well' as string);\n");
  rmSync(join(installation.folder, 'node_modules'), { recursive: true });
  writeFileSync(join(installation.folder, 'node_modules'), 'not a folder');
  expect(await installation.start([], [], { HOME: '/dev/null' })).toEqual({ stdout: 'well', stderr: '' });
  writeFileSync(installation.main, 'const x: = 1;\n');
  await expect(installation.start([], [], { HOME: '/dev/null' })).rejects.toMatchObject({ code: 1 });
});

/** The launcher, and a program of ours where it expects Lares. */
class Installation implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'lares-launch-'));
  readonly main = join(this.folder, 'agents', 'main.ts');
  readonly cache = join(this.folder, 'node_modules', '.cache', 'lares');

  constructor(source: string) {
    mkdirSync(join(this.folder, 'agents'));
    mkdirSync(join(this.folder, 'node_modules'));
    writeFileSync(join(this.folder, 'package.json'), '{"type":"module"}');
    cpSync(join(import.meta.dirname, 'launch.cjs'), join(this.folder, 'agents', 'launch.cjs'));
    writeFileSync(this.main, source);
  }

  kept(): string[] {
    return readdirSync(this.cache).map((name) => join(this.cache, name));
  }

  start(
    given: readonly string[] = [],
    flags: readonly string[] = [],
    more: NodeJS.ProcessEnv = {},
  ): ReturnType<typeof run> {
    const env = { PATH: process.env['PATH'], HOME: this.folder, ...more };
    const line = [...flags, join(this.folder, 'agents', 'launch.cjs'), ...given];
    return run(process.execPath, line, { env, cwd: this.folder });
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const run = promisify(execFile);

/** A user that no machine has an entry for. */
const nobody = 54_321;
