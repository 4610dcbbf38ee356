import { type ChildProcess, spawn } from 'node:child_process';
import { codeOf, messageOf } from '#bus/failure.ts';
import { BoundedStreams } from './bounded-output.ts';
import { systemClock } from './clock.ts';
import type { CommandEnd, CommandOptions, CommandRunner } from './command.ts';

/** Between SIGTERM and SIGKILL. */
const termGraceMs = 1_000;
/**
 * A process in uninterruptible sleep (a dead mount) ignores SIGKILL, and one that sudo made root's cannot be sent it;
 * nobody waits longer for it.
 */
const killGraceMs = 1_000;
/** Those that are given up on and live still. */
const stuck = new Set<ChildProcess>();
/** Each look at a dead mount leaves one more: without an end they would fill the process table. */
const maximumStuck = 32;
/** A daemon started by the command may keep its pipes open after it has ended. */
const pipeGraceMs = 500;

/**
 * Commands on this machine: argv without a shell, in a process group of its own that is killed whole, with no standard
 * input, the C locale and little of our environment.
 */
export const localRunner: CommandRunner = {
  run: (argv, options) => new LocalCommand(argv, options).done,
};

class LocalCommand {
  readonly done: Promise<CommandEnd>;
  readonly #options: CommandOptions;
  readonly #streams: BoundedStreams;
  readonly #cancels: (() => void)[] = [];
  #child: ChildProcess | undefined;
  #stopped: 'timed-out' | 'aborted' | undefined;
  #settle: (end: CommandEnd) => void;
  #fail: (reason: unknown) => void;

  constructor(argv: readonly string[], options: CommandOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<CommandEnd>();
    this.done = promise;
    this.#settle = resolve;
    this.#fail = reject;
    this.#options = options;
    this.#streams = new BoundedStreams(options.maximumOutputBytes);
    if (options.signal.aborted) reject(options.signal.reason as Error);
    else if (stuck.size >= maximumStuck) this.#end({ end: 'unreachable', reason: stuckReason() });
    else this.#start(argv);
  }

  #start(argv: readonly string[]): void {
    const [program, ...rest] = argv;
    if (program === undefined) throw new TypeError('Cannot run an empty argv');
    const child = this.#spawned(program, rest);
    if (child === undefined) return;
    this.#child = child;
    child.on('error', (error) => this.#end({ end: 'unreachable', reason: startFailure(program, error) }));
    // Without a free file descriptor there are no pipes: the error comes afterwards.
    child.stdout?.on('data', (chunk: Buffer) => this.#streams.stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => this.#streams.stderr.push(chunk));
    child.on('exit', (code, signal) => this.#after(pipeGraceMs, () => this.#exited(code, signal)));
    child.on('close', (code, signal) => this.#exited(code, signal));
    this.#after(this.#options.timeoutMs, () => this.#stop('timed-out'));
    const abort = (): void => this.#stop('aborted');
    this.#options.signal.addEventListener('abort', abort, { once: true });
    this.#cancels.push(() => this.#options.signal.removeEventListener('abort', abort));
  }

  /** Node throws some of what the kernel refuses, as too long arguments and too little memory, and tells the rest later. */
  #spawned(program: string, rest: string[]): ChildProcess | undefined {
    try {
      return spawn(program, rest, {
        cwd: '/',
        detached: true,
        env: environment(),
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    } catch (error) {
      // A name from the world may hold a NUL, which no argument can.
      const isRefused = error instanceof Error && ('syscall' in error || codeOf(error) === 'ERR_INVALID_ARG_VALUE');
      if (!isRefused) throw error;
      this.#end({ end: 'unreachable', reason: startFailure(program, error) });
      return undefined;
    }
  }

  #stop(as: 'timed-out' | 'aborted'): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = as;
    this.#kill('SIGTERM');
    this.#after(termGraceMs, () => {
      this.#kill('SIGKILL');
      this.#after(killGraceMs, () => this.#giveUp());
    });
  }

  #giveUp(): void {
    const child = this.#child;
    // One that has ended while its pipes are open tells that no more.
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      stuck.add(child);
      child.once('exit', () => stuck.delete(child));
    }
    this.#exited(null, 'SIGKILL');
  }

  #kill(signal: NodeJS.Signals): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch (error) {
      // ESRCH: the group has ended by itself meanwhile. EPERM: all of it is root's.
      if (codeOf(error) !== 'ESRCH' && codeOf(error) !== 'EPERM') throw error;
    }
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#stopped === 'aborted') {
      this.#release();
      this.#fail(this.#options.signal.reason);
    } else if (this.#stopped !== undefined) {
      this.#end({ end: 'timed-out', afterMs: this.#options.timeoutMs, output: this.#streams.output });
    } else if (signal !== null) {
      this.#end({ end: 'killed', signal, output: this.#streams.output });
    } else {
      this.#end({ end: 'exited', code: code ?? 0, output: this.#streams.output });
    }
  }

  #end(end: CommandEnd): void {
    this.#release();
    this.#settle(end);
  }

  #release(): void {
    // What ignored SIGTERM in a group whose leader is gone must not outlive the command.
    if (this.#stopped !== undefined) this.#kill('SIGKILL');
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#child?.stdout?.destroy();
    this.#child?.stderr?.destroy();
    this.#child?.unref();
  }

  #after(ms: number, callback: () => void): void {
    this.#cancels.push(systemClock.after(ms, callback));
  }
}

function stuckReason(): string {
  return `${stuck.size} earlier commands hang and cannot be ended, as at a dead mount; no more are started`;
}

function environment(): Record<string, string> {
  const path = process.env['PATH'] ?? '/usr/bin:/bin';
  // Debian gives ordinary users no sbin, where `ss` of old releases and `dpkg` tools live.
  return { PATH: `${path}:/usr/local/sbin:/usr/sbin:/sbin`, LC_ALL: 'C', HOME: process.env['HOME'] ?? '/' };
}

function startFailure(program: string, error: Error): string {
  const code = codeOf(error);
  if (code === 'ENOENT') return `"${program}" is not installed`;
  if (code === 'EACCES') return `"${program}" may not be run by this user`;
  return messageOf(error);
}
