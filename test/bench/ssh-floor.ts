import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SshHost } from './ssh-fleet.ts';

const execute = promisify(execFile);

/** What a careful person does by hand: OpenSSH with one multiplexed connection for each host, hosts side by side. */
export class SshByHand implements AsyncDisposable {
  readonly #folder: string;
  readonly #hosts: readonly SshHost[];

  constructor(folder: string, hosts: readonly SshHost[]) {
    this.#folder = folder;
    this.#hosts = hosts;
  }

  /** Runs the commands one after the other on each host; the first opens the connection when there is none. */
  async run(commands: readonly string[]): Promise<void> {
    await Promise.all(
      this.#hosts.map(async (host) => {
        for (const command of commands) await execute('ssh', [...this.#options(host), command]);
      }),
    );
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    const end = (host: SshHost): Promise<unknown> =>
      execute('ssh', ['-O', 'exit', ...this.#options(host)]).catch(() => undefined);
    await Promise.all(this.#hosts.map(end));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #options(host: SshHost): string[] {
    const settings = [
      'BatchMode=yes',
      'StrictHostKeyChecking=accept-new',
      `UserKnownHostsFile=${join(this.#folder, 'known_hosts')}`,
      'LogLevel=ERROR',
      'ControlMaster=auto',
      `ControlPath=${join(this.#folder, `mux-${host.name}`)}`,
      'ControlPersist=60',
    ];
    return [
      '-F',
      'none',
      '-i',
      host.keyFile,
      '-p',
      String(host.port),
      ...settings.flatMap((setting) => ['-o', setting]),
      `${host.user}@${host.address}`,
    ];
  }
}
