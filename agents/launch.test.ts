import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  const [name = ''] = installation.kept();
  const text = readFileSync(join(installation.cache, name), 'utf8');
  expect(text).toBe("const word         = 'one';\nprocess.stdout.write(word);\n");
  writeFileSync(join(installation.cache, name), text.replace('one', 'kept'));
  expect((await installation.start()).stdout).toBe('kept');
  writeFileSync(installation.main, "const word: string = 'two';\nprocess.stdout.write(word);\n");
  expect(await installation.start()).toEqual({ stdout: 'two', stderr: '' });
});

test('what is installed is stripped before the first start', async () => {
  using installation = new Installation(program);
  await installation.start(['--link']);
  expect(installation.kept()).toHaveLength(1);
});

test('it starts where nothing can be kept', async () => {
  using installation = new Installation("process.stdout.write('well' as string);\n");
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
    writeFileSync(join(this.folder, 'package.json'), '{"type":"module"}');
    cpSync(join(import.meta.dirname, 'launch.cjs'), join(this.folder, 'agents', 'launch.cjs'));
    writeFileSync(this.main, source);
  }

  kept(): string[] {
    return readdirSync(this.cache);
  }

  start(
    given: readonly string[] = [],
    flags: readonly string[] = [],
    more: NodeJS.ProcessEnv = {},
  ): ReturnType<typeof run> {
    const env = { PATH: process.env['PATH'], HOME: this.folder, ...more };
    return run(process.execPath, [...flags, join(this.folder, 'agents', 'launch.cjs'), ...given], { env });
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const run = promisify(execFile);
