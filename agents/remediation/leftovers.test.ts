import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { PlannedHost, PlannedStep } from '#bus/messages/plan.ts';
import type { CommandRunner } from '#agents/runtime/command.ts';
import { withTimeout } from '#agents/runtime/guarded-command.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import { leftovers } from './leftovers.ts';
import type { Reach } from './reach.ts';

const host: PlannedHost = { host: 'here', transport: 'local', address: '', port: 0, user: 'me', hostKeys: [] };
const reach = (runner: CommandRunner): Reach => ({
  target: () => ({ ok: false, reason: 'not asked' }),
  runner: () => runner,
});

function step(marker: string, argv: readonly string[], sudo = false): PlannedStep {
  return {
    id: 's',
    host: 'here',
    argv: ['env', `LARES_STEP=${marker}`, ...withTimeout(sudo ? ['sudo', '-n', ...argv] : argv, 60_000)],
    sudo,
    timeoutMs: 60_000,
    success: [0],
  };
}

/** The command lines that are left, for a test that waits until a shell has become what it executes. */
const linesLeft = async (of: PlannedStep, mode: 'look' | 'stop'): Promise<unknown> => {
  const found = await look(of, mode);
  return found.left === 'some' ? found.processes.map((line) => line.replace(/^\d+ /, '')) : found;
};
const patience = { timeout: 15_000 };

const look = async (of: PlannedStep, mode: 'look' | 'stop', runner = localRunner) =>
  await leftovers(of, host, { reach: reach(runner), signal: new AbortController().signal, mode });

describe('what is left of a step', () => {
  const started: number[] = [];
  afterEach(() => {
    for (const pid of started.splice(0)) {
      try {
        // Each leads a group of its own.
        process.kill(-pid, 'SIGKILL');
      } catch (error) {
        // It has ended, which is what most of these tests are about.
        if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
      }
    }
  });

  async function begin(argv: readonly string[], env: Record<string, string>): Promise<void> {
    const [program = '', ...rest] = argv;
    const child = spawn(program, rest, {
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    if (child.pid !== undefined) started.push(child.pid);
    await once(child.stdout, 'data');
  }

  it('nothing is left when nothing runs', async () => {
    expect(await look(step('none.1', ['true']), 'look')).toEqual({ left: 'none' });
  });

  it('looking finds the processes of one marker, only those, and ends none', async () => {
    await begin(['sh', '-c', 'sleep 61 & echo on; wait'], { LARES_STEP: 'look.1' });
    await begin(['sh', '-c', 'sleep 62 & echo on; wait'], { LARES_STEP: 'look.10' });
    const of = step('look.1', ['true']);
    const lines = ['sh -c sleep 61 & echo on; wait', 'sleep 61'];
    await expect.poll(() => linesLeft(of, 'look'), patience).toEqual(lines);
    expect(await linesLeft(of, 'look')).toEqual(lines);
  });

  it('a process that cleared its environment is found below one that has it', async () => {
    await begin(['sh', '-c', 'env -i PATH="$PATH" sh -c "sleep 63 & echo on; wait"; :'], { LARES_STEP: 'clear.1' });
    const found = await look(step('clear.1', ['true']), 'stop');
    expect(found).toEqual({ left: 'none' });
  });

  it('stopping ends also what ignores SIGTERM', async () => {
    await begin(['sh', '-c', 'trap "" TERM; echo on; while :; do sleep 64; done'], { LARES_STEP: 'stop.1' });
    expect(await look(step('stop.1', ['true']), 'stop')).toEqual({ left: 'none' });
  });

  it('behind sudo the same command line is told, and left alone', async () => {
    await begin(['sh', '-c', 'echo on; exec sleep 65.125'], {});
    const of = step('sudo.1', ['/bin/sleep', '65.125'], true);
    await expect.poll(() => linesLeft(of, 'stop'), patience).toEqual(['sleep 65.125']);
  });

  it('behind sudo a script is known by its own name, whatever interprets it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lares-left-'));
    const script = join(folder, 'stubborn');
    writeFileSync(script, '#!/bin/sh -e\necho on\nsleep 66.125\n', { mode: 0o755 });
    await begin([script, 'for', 'ever'], {});
    rmSync(folder, { recursive: true });
    const lines = [`/bin/sh -e ${script} for ever`];
    expect(await linesLeft(step('sudo.2', ['stubborn', 'for', 'ever'], true), 'look')).toEqual(lines);
    expect(await look(step('sudo.2', ['stubborn', 'ever'], true), 'look')).toEqual({ left: 'none' });
  });

  it('a host that does not answer, or cannot look, is not a host where nothing is left', async () => {
    const deaf: CommandRunner = { run: () => Promise.resolve({ end: 'unreachable', reason: 'no route' }) };
    expect(await look(step('x.1', ['true']), 'stop', deaf)).toEqual({ left: 'unknown', reason: 'no route' });
    const odd: CommandRunner = {
      run: () =>
        Promise.resolve({ end: 'exited', code: 1, output: { stdout: '', stderr: 'no shell', truncated: false } }),
    };
    expect(await look(step('x.1', ['true']), 'stop', odd)).toMatchObject({ left: 'unknown' });
  });
});
