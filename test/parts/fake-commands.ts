import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { CommandRunner } from '#agents/runtime/command.ts';

/** What a fake program does: a shell script that sees the real arguments, or just what it prints. */
export type FakeProgram = string | { stdout?: string; stderr?: string; code?: number };

/** Programs that this machine lacks, as scripts in a folder in front of PATH. */
export class FakeCommands implements Disposable {
  readonly folder: string;
  /** Runs commands on this machine with the fakes in front. */
  readonly probe: CommandRunner;

  constructor(programs: Record<string, FakeProgram> = {}) {
    this.folder = mkdtempSync(join(tmpdir(), 'lares-fakes-'));
    mkdirSync(join(this.folder, '.said'));
    const path = `${this.folder}:${process.env['PATH'] ?? '/usr/bin:/bin'}`;
    this.probe = { run: (argv, options) => localRunner.run(['env', `PATH=${path}`, ...argv], options) };
    for (const [name, program] of Object.entries(programs)) this.set(name, program);
  }

  /** Adds or replaces one. */
  set(name: string, program: FakeProgram): void {
    const path = join(this.folder, name);
    writeFileSync(path, `#!/bin/sh\n${typeof program === 'string' ? program : this.#printing(name, program)}\n`);
    chmodSync(path, 0o755);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #printing(name: string, of: { stdout?: string; stderr?: string; code?: number }): string {
    const said = join(this.folder, '.said', name);
    writeFileSync(`${said}.out`, of.stdout ?? '');
    writeFileSync(`${said}.err`, of.stderr ?? '');
    return `cat '${said}.out'\ncat '${said}.err' >&2\nexit ${of.code ?? 0}`;
  }
}
