import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type Connection, type ServerChannel } from 'ssh2';
import { newKeyPair } from '#agents/demo/key-pair.ts';
import { fingerprintOfKey } from '#agents/runtime/ssh-host-key.ts';

/** What goes wrong with the next connections. */
export type SshFault =
  | 'none'
  /** Takes the login and closes at once, as a host that shuts down (`nologin`): neither ready nor error is told. */
  | 'closes-after-login'
  | 'refuses-logins'
  /** Lets everybody in, whatever they show. */
  | 'lets-anybody-in'
  | 'offers-passwords'
  /** Never says whether a login is good. */
  | 'hangs-in-login'
  /** Runs no command and never answers. */
  | 'hangs'
  /** Starts the command and drops the connection before it ended. */
  | 'drops-in-command'
  /** Ends the channel without an exit status. */
  | 'no-exit-status'
  | 'refuses-channels';

/** An SSH server in this process (tier 2): real protocol of ssh2's `Server`, commands through `sh -c`, faults on demand. */
interface SshHost extends AsyncDisposable {
  readonly target: { address: string; port: number; user: string; hostKeys: string[]; keyFile: string };
  /** Command lines in the order in which they came. */
  readonly received: readonly string[];
  fault: SshFault;
  connections(): number;
}

export async function startSshHost(): Promise<SshHost> {
  const folder = mkdtempSync(join(tmpdir(), 'lares-ssh-host-'));
  const hostKey = newKeyPair();
  const keyFile = join(folder, 'login');
  // An RSA key in PEM: another format than the one that ssh-keygen writes.
  const login = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  writeFileSync(keyFile, login.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
  const received: string[] = [];
  const connections = new Set<Connection>();
  const state: { fault: SshFault } = { fault: 'none' };
  const server = new ssh2.Server({ hostKeys: [hostKey.private] }, (connection) => {
    connections.add(connection);
    connection.on('close', () => connections.delete(connection));
    connection.on('error', () => connections.delete(connection));
    serve(connection, state, received);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  const parsed = ssh2.utils.parseKey(hostKey.public);
  if (parsed instanceof Error) throw parsed;
  return {
    target: { address: '127.0.0.1', port, user: 'lares', hostKeys: [fingerprintOfKey(parsed.getPublicSSH())], keyFile },
    received,
    get fault() {
      return state.fault;
    },
    set fault(fault) {
      state.fault = fault;
    },
    connections: () => connections.size,
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      for (const connection of connections) connection.end();
      await closed.promise;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function serve(connection: Connection, state: { fault: SshFault }, received: string[]): void {
  connection.on('authentication', (attempt) => {
    if (state.fault === 'closes-after-login') connection.end();
    else if (state.fault === 'lets-anybody-in') attempt.accept();
    else if (state.fault === 'offers-passwords') attempt.reject(['publickey', 'password']);
    else if (state.fault === 'hangs-in-login') return;
    else if (state.fault === 'refuses-logins' || attempt.method !== 'publickey') attempt.reject(['publickey']);
    else attempt.accept();
  });
  connection.on('session', (accept, reject) => {
    if (state.fault === 'refuses-channels') {
      reject();
      return;
    }
    accept().on('exec', (acceptExec, _, { command }) => {
      received.push(command);
      if (state.fault === 'hangs') return;
      execute(acceptExec(), command, { fault: state.fault, drop: () => connection.end() });
    });
  });
}

function execute(channel: ServerChannel, command: string, how: { fault: SshFault; drop: () => void }): void {
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] });
  if (how.fault === 'drops-in-command') {
    child.on('spawn', how.drop);
    return;
  }
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  child.on('close', (code) => {
    if (how.fault !== 'no-exit-status') channel.exit(code ?? 255);
    channel.end();
  });
}
