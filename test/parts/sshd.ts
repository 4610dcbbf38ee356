import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { codeOf } from '#bus/failure.ts';
import { freePort } from './free-port.ts';

const program = '/usr/sbin/sshd';
/** The real OpenSSH server needs Debian's `openssh-server`; where it is missing a test says SKIPPED. */
export const hasSshd = existsSync(program) || process.env['LARES_REQUIRE_PARTS'] === '1';
/** Behind the name of what needs it. */
export const lacksSshd = hasSshd ? '' : ' (SKIPPED: the package "openssh-server" is not installed)';

/** A real OpenSSH server on loopback with keys and configuration of its own: tier 1, nothing of it is ours. */
export interface Sshd extends AsyncDisposable {
  readonly folder: string;
  readonly keyFile: string;
  /** What an inventory needs; `hostKeys` holds the fingerprint that it shows now. */
  readonly target: { address: string; port: number; user: string; hostKeys: string[]; keyFile: string };
  /** Puts an executable on the PATH of every session. */
  standIn(name: string, script: string): void;
  /** Stops the listener and starts it on the same port with another host key. Sessions go on. */
  changeHostKey(): Promise<void>;
  /** The last 4 kB of what the server itself wrote. */
  log(): string;
  /** Kills the processes that serve the sessions of this server, as a network or an operator would. */
  killSessions(): void;
}

export async function startSshd(settings: readonly string[] = []): Promise<Sshd> {
  const folder = mkdtempSync(join(tmpdir(), 'lares-sshd-'));
  mkdirSync(join(folder, 'bin'));
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true });
  const keyFile = join(folder, 'login');
  generateKey(keyFile);
  writeFileSync(join(folder, 'authorized_keys'), readFileSync(`${keyFile}.pub`));
  const port = await freePort();
  let generation = 0;
  let server = await launch();
  async function launch(): Promise<{ child: ChildProcess; fingerprint: string; log: () => string }> {
    generation += 1;
    const hostKey = join(folder, `host-${generation}`);
    generateKey(hostKey);
    const config = join(folder, `config-${generation}`);
    writeFileSync(config, configuration({ folder, port, hostKey, settings }));
    const child = spawn(program, ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
    await answering(port, () => {
      if (child.exitCode !== null) throw new Error(`sshd ended with ${child.exitCode}: ${said}`);
    });
    return { child, fingerprint: fingerprintOf(`${hostKey}.pub`), log: () => said };
  }
  return {
    folder,
    keyFile,
    get target() {
      const user = userInfo().username;
      return { address: '127.0.0.1', port, user, hostKeys: [server.fingerprint], keyFile };
    },
    standIn(name, script) {
      writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    },
    async changeHostKey() {
      await end(server.child, 'SIGKILL');
      server = await launch();
    },
    log: () => server.log(),
    killSessions() {
      for (const pid of childrenOf(server.child.pid ?? -1)) killTree(pid);
    },
    async [Symbol.asyncDispose]() {
      for (const pid of childrenOf(server.child.pid ?? -1)) killTree(pid);
      await end(server.child, 'SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function configuration(of: { folder: string; port: number; hostKey: string; settings: readonly string[] }): string {
  // sshd takes the first value that it meets, so the test's own settings stand before ours.
  return [
    ...of.settings,
    `Port ${of.port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${of.hostKey}`,
    `PidFile ${of.folder}/pid`,
    `AuthorizedKeysFile ${of.folder}/authorized_keys`,
    'StrictModes no',
    'UsePAM no',
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'MaxStartups 200',
    // Its own home, so that the start-up files of whoever runs the tests change nothing.
    `SetEnv HOME=${of.folder} PATH=${of.folder}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LARES_TEST_HOST=${of.folder}`,
    '',
  ].join('\n');
}

function generateKey(file: string): void {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
}

function fingerprintOf(file: string): string {
  return execFileSync('ssh-keygen', ['-lf', file], { encoding: 'utf8' }).split(' ')[1] ?? '';
}

async function answering(port: number, check: () => void): Promise<void> {
  for (;;) {
    check();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    const connected = await promise;
    socket.destroy();
    if (connected) return;
    await wait(20);
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  child.on('exit', () => resolve());
  child.kill(signal);
  await promise;
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc').flatMap((name) => {
    const child = Number(name);
    return Number.isInteger(child) && parentOf(child) === pid ? [child] : [];
  });
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);
  } catch {
    return undefined;
  }
}

/** The serving processes only: what a command started is left alone, as when a real sshd dies. */
function killTree(pid: number): void {
  for (const child of childrenOf(pid)) if (commandOf(child).startsWith('sshd')) killTree(child);
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8');
  } catch {
    return '';
  }
}
