import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import ssh2, { type Connection, type ServerChannel } from 'ssh2';
import { systemClock } from '../runtime/clock.ts';
import { fingerprintOfKey } from '../runtime/ssh-host-key.ts';
import { newKeyPair } from './key-pair.ts';

const tools = join(import.meta.dirname, 'host');
/** So long after its end the output of a command may still be on its way through a pipe. */
const drainMs = 2_000;

/** A host on loopback with an SSH server, one systemd-like unit and nothing else. Ends with every process it started. */
export interface DemoHost {
  port: number;
  servicePort: number;
  hostKey: string;
  keyFile: string;
  user: string;
  /** Kills the service the hard way, as an out-of-memory kill would. */
  breakService(): Promise<void>;
  close(): Promise<void>;
}

export async function startDemoHost(folder: string): Promise<DemoHost> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const hostPair = newKeyPair();
  const loginPair = newKeyPair();
  const keyFile = join(folder, 'id_ed25519');
  writeFileSync(keyFile, loginPair.private, { mode: 0o600 });
  const servicePort = await freePort();
  writeFileSync(join(folder, 'port'), String(servicePort));
  writeFileSync(join(folder, 'log'), '');
  const shell = createShell(folder);
  const server = new ssh2.Server({ hostKeys: [hostPair.private] }, (client) =>
    welcome(client, loginPair.public, shell),
  );
  const sockets = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    server.injectSocket(socket);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  await shell.run('systemctl start shop.service');
  return {
    port: (listener.address() as { port: number }).port,
    servicePort,
    hostKey: fingerprintOfKey(publicBytes(hostPair.public)),
    keyFile,
    user: 'demo',
    breakService: () => shell.run('kill -9 "$(cat "$DEMO_FOLDER/pid")"'),
    close: async () => {
      await shell.run('systemctl stop shop.service');
      shell.end();
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => listener.close(() => resolve()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Shell {
  start(command: string): ReturnType<typeof spawn>;
  run(command: string): Promise<void>;
  end(): void;
}

/** Runs commands as an sshd would, with the demo's own systemctl first on the path. */
function createShell(folder: string): Shell {
  const running = new Set<ReturnType<typeof spawn>>();
  const env = {
    PATH: `${tools}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
    HOME: folder,
    DEMO_FOLDER: folder,
    DEMO_NODE: process.execPath,
    DEMO_SERVICE: join(tools, 'shop.mjs'),
  };
  const start = (command: string): ReturnType<typeof spawn> => {
    const child = spawn('/bin/sh', ['-c', command], {
      cwd: folder,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    child.once('exit', () => running.delete(child));
    return child;
  };
  return {
    start,
    run: (command) =>
      new Promise((resolve) => {
        const child = start(command);
        child.once('error', () => resolve());
        child.once('exit', () => resolve());
      }),
    end: () => {
      for (const child of running) if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    },
  };
}

function welcome(client: Connection, allowedKey: string, shell: Shell): void {
  const allowed = publicBytes(allowedKey);
  client.on('authentication', (context) => {
    const isAllowed = context.method === 'publickey' && context.key.data.equals(allowed);
    if (isAllowed) context.accept();
    else context.reject(['publickey']);
  });
  client.on('session', (accept) => {
    accept().on('exec', (acceptExec, _reject, info) => serve(acceptExec(), info.command, shell));
  });
  // A client that goes away resets the connection; there is nobody to tell.
  client.on('error', () => client.end());
}

function serve(channel: ServerChannel, command: string, shell: Shell): void {
  const child = shell.start(command);
  child.stdout?.pipe(channel, { end: false });
  child.stderr?.pipe(channel.stderr, { end: false });
  child.once('error', () => {
    channel.exit(127);
    channel.end();
  });
  child.once('exit', (code, signal) => {
    const end = (): void => {
      cancel();
      child.off('close', end);
      if (signal === null) channel.exit(code ?? 0);
      else channel.exit(signal.replace('SIG', ''), false, '');
      channel.end();
    };
    // `close` comes when all that it wrote was read; a daemon that keeps its streams must not keep the channel.
    const cancel = systemClock.after(drainMs, end);
    child.once('close', end);
  });
}

/** The key blob inside an OpenSSH public key line. */
function publicBytes(line: string): Buffer {
  return Buffer.from(line.split(' ')[1] ?? '', 'base64');
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
