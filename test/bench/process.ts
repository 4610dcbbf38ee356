import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';

const launcher = join(import.meta.dirname, '../../agents/launch.cjs');
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const firstLineMs = 60_000;

/** Resident memory in megabytes: all of it, and with what is shared divided among those who share. */
export function memoryOf(pid: number): { resident: number; proportional: number } {
  const field = (file: string, name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))?.[1]) / 1_024;
  return { resident: field('status', 'VmRSS'), proportional: field('smaps_rollup', 'Pss') };
}

/** User and system time so far, in seconds. */
export function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** The same of the children of this process that have ended. */
export function cpuSecondsOfEnded(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[13]) + Number(fields[14])) / ticksPerSecond;
}

/** A process that says JSON, one value a line. Ended with its block. */
export class Child implements AsyncDisposable {
  readonly startedAt = performance.now();
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #complaint = '';

  constructor(argv: readonly string[], options: { folder?: string; env?: NodeJS.ProcessEnv } = {}) {
    const child = spawn(process.execPath, [...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: options.folder,
      env: { ...process.env, ...options.env },
    });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.on('data', (bytes: Buffer) => (this.#complaint = (this.#complaint + bytes.toString()).slice(-4_000)));
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('The process did not start');
    return this.#child.pid;
  }

  /** The next line that satisfies. Throws when the process ends first. */
  async says(satisfies: (value: Record<string, unknown>) => boolean = () => true): Promise<Record<string, unknown>> {
    const end = AbortSignal.timeout(firstLineMs);
    for (;;) {
      const late = once(end, 'abort').then(() => ({ done: true, value: '' }) as const);
      const { done, value } = await Promise.race([this.#lines.next(), late]);
      if (done === true) throw new Error(`The process said nothing more: ${this.#complaint}`);
      const parsed = JSON.parse(value) as Record<string, unknown>;
      if (satisfies(parsed)) return parsed;
    }
  }

  /** Resolves with the milliseconds from its start to its end. */
  async ended(): Promise<number> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
    return performance.now() - this.startedAt;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGTERM');
    const isGone = await Promise.race([once(this.#child, 'exit').then(() => true), wait(10_000).then(() => false)]);
    if (isGone) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

/** Brings the installation into the state that `npm ci` leaves it in, whatever was edited since. */
export function warmUp(): void {
  execFileSync(process.execPath, [launcher, '--link']);
}

/** `lares <command> --json` by its launcher, as npm starts it. */
export function startLares(argv: readonly string[], options: { folder: string; env?: NodeJS.ProcessEnv }): Child {
  return new Child([launcher, ...argv, '--json'], options);
}

/** A script of this folder in a process of its own. */
export function startScript(name: string, ...argv: string[]): Child {
  return new Child([join(import.meta.dirname, name), ...argv]);
}

/** A folder that goes with its block. */
export function temporaryFolder(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), 'lares-bench-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
