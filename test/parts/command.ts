import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandResult } from './lares.ts';
import { until } from './until.ts';

const main = join(import.meta.dirname, '../../agents/main.ts');

/** Halves what a start costs; the launcher does the same. */
const compileCache = join(tmpdir(), 'node-compile-cache');

export interface CommandOptions {
  /** Where it looks for a configuration and keeps its state. */
  cwd: string;
  env?: NodeJS.ProcessEnv;
}

/** One command of the real program that goes on until it is told to end. */
export class RunningCommand implements AsyncDisposable {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #ended: Promise<number | null>;

  constructor(argv: readonly string[], options: CommandOptions) {
    const env = { ...process.env, NODE_COMPILE_CACHE: compileCache, ...options.env };
    this.child = spawn(process.execPath, [main, ...argv], { cwd: options.cwd, env, stdio: 'pipe' });
    this.child.stdout?.on('data', (bytes: Buffer) => (this.stdout += bytes.toString()));
    this.child.stderr?.on('data', (bytes: Buffer) => (this.stderr += bytes.toString()));
    this.#ended = once(this.child, 'close').then(([code]) => code as number | null);
  }

  /** Waits until it has printed that. */
  async says(pattern: RegExp, limitMs = 30_000): Promise<void> {
    const said = (): boolean => pattern.test(this.stdout) || this.child.exitCode !== null;
    await until(said, `the command to say ${pattern}`, limitMs).catch((error: unknown) => {
      throw new Error(`It never said ${pattern}:\n${this.stdout}${this.stderr}`, { cause: error });
    });
    if (!pattern.test(this.stdout)) throw new Error(`It ended before ${pattern}:\n${this.stdout}${this.stderr}`);
  }

  type(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  /** Null when a signal killed it. */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Runs one command of the real program to its end. */
export async function runCommand(argv: readonly string[], options: CommandOptions): Promise<CommandResult> {
  await using command = new RunningCommand(argv, options);
  command.child.stdin?.end();
  const status = await command.ended();
  return { status: status ?? -1, stdout: command.stdout, stderr: command.stderr };
}

/** A folder that goes away with its test. */
export class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'lares-folder-'));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
