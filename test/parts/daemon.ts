import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from 'vitest';

const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin'];
const patienceMs = 20_000;
const keptOutput = 20_000;

/** The whole path of a program, or undefined when this machine has none. */
export function programPath(name: string): string | undefined {
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/**
 * `describe` for tests that need these programs: skipped with their names where one is missing, and failing there
 * when LARES_REQUIRE_PARTS=1.
 */
export function describeWith(programs: readonly string[], name: string, body: () => void): void {
  const missing = programs.filter((program) => programPath(program) === undefined);
  if (missing.length > 0 && process.env['LARES_REQUIRE_PARTS'] === '1') {
    throw new Error(`These tests need ${missing.join(', ')}`);
  }
  const title = missing.length === 0 ? name : `${name} (needs ${missing.join(', ')})`;
  // oxlint-disable-next-line vitest/valid-title, vitest/valid-describe-callback -- both are whoever calls this
  describe.skipIf(missing.length > 0)(title, body);
}

export interface Daemon extends AsyncDisposable {
  readonly pid: number;
  /** The last of what it printed, both streams. */
  readonly output: string;
  signal(name: NodeJS.Signals): void;
  /** Ends it the hard way. */
  kill(): Promise<void>;
}

export interface DaemonOptions {
  program: string;
  args: readonly string[];
  cwd?: string;
  env?: Record<string, string>;
  /** Asked every 50 ms until it says yes; a rejection counts as no. */
  isReady: () => Promise<boolean>;
}

/** A real program of Debian as a child process, ready for use. Its process group ends with it. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const path = programPath(options.program) ?? options.program;
  const child = spawn(path, options.args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-keptOutput);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.on('error', (error) => keep(Buffer.from(String(error))));
  const kill = (): Promise<void> => end(child);
  const isUp = await waitUntilReady(child, options.isReady);
  if (!isUp) {
    await kill();
    throw new Error(`${options.program} did not start:\n${output}`);
  }
  return {
    pid: child.pid ?? 0,
    get output() {
      return output;
    },
    signal: (name) => void child.kill(name),
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

async function waitUntilReady(child: ChildProcess, isReady: () => Promise<boolean>): Promise<boolean> {
  const endAt = performance.now() + patienceMs;
  while (performance.now() < endAt && child.exitCode === null && child.signalCode === null) {
    if (await isReady().catch(() => false)) return true;
    await sleep(50);
  }
  return false;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL');
  }
  await exited;
}

/** Whether an address answers with any status below 500. */
export async function answersAt(url: string): Promise<boolean> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  await answer.arrayBuffer();
  return answer.status < 500;
}
