import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { until } from './until.ts';

const main = join(import.meta.dirname, '../../agents/main.ts');

export interface CommandResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** The real program as a child process, with a configuration and a state folder of its own. */
export class Lares implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'lares-story-'));
  readonly configFile = join(this.folder, 'lares.yaml');
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;
  #output = '';

  constructor(config: object, env: NodeJS.ProcessEnv = {}) {
    this.configure(config);
    this.#env = { ...process.env, ...env };
  }

  configure(config: object): void {
    writeFileSync(this.configFile, stringify({ state: 'state', http: { port: 0 }, ...config }));
  }

  /** Everything that it printed, over all its lives. */
  get output(): string {
    return this.#output;
  }

  /** Starts `lares up --json` (or one agent) and waits until its agents work. */
  async start(command: 'up' | 'sentinel' | 'triage' | 'remediation' = 'up'): Promise<void> {
    const before = this.#started();
    const child = spawn(process.execPath, [main, command, '--json', '-c', this.configFile], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.stdout.on('data', (bytes: Buffer) => (this.#output += bytes.toString()));
    child.stderr.on('data', (bytes: Buffer) => (this.#output += bytes.toString()));
    await until(() => this.#started() > before || child.exitCode !== null, 'Lares to start', 30_000);
    if (child.exitCode !== null) throw new Error(`Lares ended at its start:\n${this.#output}`);
  }

  /** Ends it with a signal and waits until it is gone. Returns its exit status, null after a kill. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const gone = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    child.kill(signal);
    return gone;
  }

  /** Runs another command of the program against the same configuration. */
  run(...argv: string[]): Promise<CommandResult> {
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [main, ...argv, '-c', this.configFile],
        { env: this.#env },
        (error, stdout, stderr) => {
          const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
          resolve({ status, stdout, stderr });
        },
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  #started(): number {
    return this.#output.split('"event":"started"').length - 1;
  }
}
