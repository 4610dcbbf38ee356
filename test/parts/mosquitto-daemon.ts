import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ServerKeys } from './certificates.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { freePort } from './free-port.ts';

const run = promisify(execFile);

/**
 * Debian's `mosquitto` as a house has it, with users and an access list; the tools are those of `mosquitto-clients`.
 * `watcher` reads $SYS and `sensors`, and may write `lares/_probe`; `blind` may read nothing; `device` writes `sensors`.
 */
export interface MosquittoDaemon extends AsyncDisposable {
  readonly url: string;
  readonly tlsUrl: string;
  readonly password: string;
  publish(topic: string, payload: string, options?: { retain?: boolean }): Promise<void>;
  kill(): Promise<void>;
  restart(): Promise<void>;
}

const password = 'a-password';
const acl = `user watcher
topic read $SYS/#
topic read sensors/#
topic readwrite lares/_probe/#
user blind
topic write lares/_probe/blind
user device
topic readwrite sensors/#
`;

export async function startMosquittoDaemon(keys?: ServerKeys): Promise<MosquittoDaemon> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-broker-'));
  const [port, tlsPort] = [await freePort(), await freePort()];
  const at = (name: string): string => join(folder, name);
  await writeFile(at('acl'), acl, { mode: 0o600 });
  await writeFile(at('passwords'), ['watcher', 'blind', 'device'].map((user) => `${user}:${password}\n`).join(''), {
    mode: 0o600,
  });
  await run('mosquitto_passwd', ['-U', at('passwords')]);
  if (keys !== undefined) {
    await writeFile(at('key.pem'), keys.key, { mode: 0o600 });
    await writeFile(at('cert.pem'), keys.cert);
  }
  const lines = [
    `listener ${port} 127.0.0.1`,
    ...(keys === undefined
      ? []
      : [`listener ${tlsPort} 127.0.0.1`, `keyfile ${at('key.pem')}`, `certfile ${at('cert.pem')}`]),
    'allow_anonymous false',
    `password_file ${at('passwords')}`,
    `acl_file ${at('acl')}`,
    'sys_interval 1',
    'persistence false',
    // Started by root it would become a user who may not read this folder.
    ...(process.getuid?.() === 0 ? ['user root'] : []),
  ];
  await writeFile(at('mosquitto.conf'), `${lines.join('\n')}\n`);
  const start = (): Promise<Daemon> =>
    startDaemon({ program: 'mosquitto', args: ['-c', at('mosquitto.conf')], isReady: () => accepts(port) });
  let daemon = await start();
  return {
    url: `mqtt://127.0.0.1:${port}`,
    tlsUrl: `mqtts://127.0.0.1:${tlsPort}`,
    password,
    async publish(topic, payload, options = {}) {
      const login = ['-h', '127.0.0.1', '-p', String(port), '-u', 'device', '-P', password];
      const retain = options.retain === true ? ['-r'] : [];
      await run('mosquitto_pub', [...login, '-q', '1', ...retain, '-t', topic, '-m', payload]);
    },
    kill: () => daemon.kill(),
    async restart() {
      await daemon.kill();
      daemon = await start();
    },
    async [Symbol.asyncDispose]() {
      await daemon.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } finally {
    socket.destroy();
  }
}
