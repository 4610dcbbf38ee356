import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { until } from '../../test/parts/until.ts';
import type { CommandOptions } from './command.ts';
import { localRunner } from './local-command.ts';

const signal = new AbortController().signal;

function run(argv: string[], more: Partial<CommandOptions> = {}) {
  return localRunner.run(argv, { timeoutMs: 20_000, signal, ...more });
}

/** A process that is gone or only waits to be reaped. */
function isGone(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

describe('a command on this machine', () => {
  test('ends with its status and both outputs', async () => {
    expect(await run(['sh', '-c', 'echo out; echo err >&2; exit 3'])).toEqual({
      end: 'exited',
      code: 3,
      output: { stdout: 'out\n', stderr: 'err\n', truncated: false },
    });
  });

  test('gets its arguments as they are, without a shell', async () => {
    const hostile = `$(id) ; "x" 'y' \\ * \n é`;
    expect(await run(['printf', '%s', hostile])).toMatchObject({ output: { stdout: hostile } });
  });

  test('has no input, the C locale and nothing of our environment', async () => {
    process.env['LARES_TEST_SECRET'] = 'planted';
    const end = await run(['sh', '-c', 'cat; env']);
    delete process.env['LARES_TEST_SECRET'];
    const { stdout } = end.end === 'exited' ? end.output : { stdout: '' };
    expect(stdout).toContain('LC_ALL=C\n');
    expect(stdout).not.toContain('planted');
  });

  test('that is not installed never started', async () => {
    // execvp(3) says EACCES when a folder of the PATH may not be read.
    expect(await run(['no-such-program-anywhere'])).toEqual({
      end: 'unreachable',
      reason: expect.stringMatching(/^"no-such-program-anywhere" (is not installed|may not be run by this user)$/),
    });
  });

  test('that the kernel refuses to start never started', async () => {
    expect(await run(['true', 'x'.repeat(300_000)])).toMatchObject({
      end: 'unreachable',
      reason: expect.stringContaining('E2BIG') as string,
    });
    expect(await run(['true', 'a\0b'])).toMatchObject({ end: 'unreachable' });
    const script = `
      import { openSync } from 'node:fs';
      const { localRunner } = await import(${JSON.stringify(new URL('./local-command.ts', import.meta.url).href)});
      try { for (;;) openSync('/dev/null'); } catch {}
      const signal = new AbortController().signal;
      const end = await localRunner.run(['true'], { timeoutMs: 20_000, signal });
      process.stdout.write(JSON.stringify(end));`;
    const node = [process.execPath, '--input-type=module', '-e', script];
    // Far below what this machine allows, so that all are taken at once.
    const ended = await run(['sh', '-c', 'ulimit -n 60 && exec "$@"', 'sh', ...node]);
    expect(ended).toMatchObject({ end: 'exited', code: 0 });
    expect('output' in ended && JSON.parse(ended.output.stdout)).toMatchObject({
      end: 'unreachable',
      reason: expect.stringContaining('EMFILE') as string,
    });
  });

  test('that dies of a signal says which', async () => {
    expect(await run(['sh', '-c', 'kill -9 $$'])).toMatchObject({ end: 'killed', signal: 'SIGKILL' });
  });

  test('whose time is up is killed with all that it started, even what ignores SIGTERM', async () => {
    const end = await run(
      ['sh', '-c', 'trap "" TERM; (trap "" TERM; echo $$; while :; do sleep 1; done) & echo $!; wait'],
      {
        timeoutMs: 2_000,
      },
    );
    expect(end).toMatchObject({ end: 'timed-out', afterMs: 2_000 });
    const pids = end.end === 'timed-out' ? end.output.stdout.trim().split('\n').map(Number) : [];
    expect(pids).toHaveLength(2);
    await until(() => pids.every(isGone), 'the processes to end');
  });

  test('that is called off rejects with the reason and is killed', async () => {
    const stopping = new AbortController();
    const running = run(['sleep', '60'], { signal: stopping.signal });
    stopping.abort(new Error('stopped'));
    await expect(running).rejects.toThrow('stopped');
    await expect(run(['true'], { signal: stopping.signal })).rejects.toThrow('stopped');
  });

  test('that prints for ever is cut to its beginning and its end', async () => {
    const end = await run(['sh', '-c', 'echo first; head -c 5000000 /dev/zero | tr "\\0" x; echo; echo last'], {
      maximumOutputBytes: 10_000,
    });
    if (end.end !== 'exited') throw new Error(end.end);
    expect(end.output.truncated).toBe(true);
    expect(end.output.stdout.length).toBeLessThan(11_000);
    expect(end.output.stdout).toMatch(/^first\n/);
    expect(end.output.stdout).toMatch(/last\n$/);
  });

  test('that leaves a daemon behind on its pipes is not waited for', async () => {
    const end = await run(['sh', '-c', 'sleep 5 & echo started']);
    expect(end).toMatchObject({ end: 'exited', code: 0, output: { stdout: 'started\n' } });
  });
});

test.skipIf(process.geteuid?.() !== 0)(
  'what cannot be killed holds up nobody, and so many at once are the end (as root only)',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lares-stuck-'));
    chmodSync(folder, 0o755);
    const become = join(folder, 'become');
    copyFileSync('/usr/bin/setpriv', become);
    chmodSync(become, 0o4755);
    // As sudo does, it makes the command root's: its caller may not kill it any more.
    const argv = [become, '--reuid', '0', 'sh', '-c', 'echo $$; exec sleep 30'];
    const code = `
    const { localRunner } = await import(${JSON.stringify(new URL('./local-command.ts', import.meta.url).href)});
    const { signal } = new AbortController();
    const options = { timeoutMs: 2000, signal };
    const run = () => localRunner.run(${JSON.stringify(argv)}, options);
    const ends = await Promise.all(Array.from({ length: 32 }, run));
    ends.push(await run());
    console.log(JSON.stringify(ends.map(({ end, reason, output }) => ({ end: reason ?? end, pid: Number(output?.stdout) }))));
    process.exit(0);
  `;
    const as = ['--reuid', '65534', '--clear-groups', process.execPath, '--input-type=module', '-e', code];
    const found = await run(['setpriv', ...as], { timeoutMs: 60_000 });
    rmSync(folder, { recursive: true });
    const ends = JSON.parse('output' in found ? found.output.stdout : '[]') as { end: string; pid: number }[];
    for (const { pid } of ends) if (pid > 0 && !isGone(pid)) process.kill(pid, 'SIGKILL');
    expect(ends.map(({ end }) => end)).toEqual([
      ...Array.from({ length: 32 }, () => 'timed-out'),
      '32 earlier commands hang and cannot be ended, as at a dead mount; no more are started',
    ]);
  },
  90_000,
);
