import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mosquittoAcl } from '#bus/access.ts';
import { mosquittoConf } from '#bus/mosquitto.ts';
import { Clients, credentials, site, type TestBroker } from './broker.ts';
import { freePort } from './free-port.ts';

const binary = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/usr/bin/mosquitto'].find(existsSync);

/** Debian's package `mosquitto`. */
export const hasMosquitto = binary !== undefined;

/** The same as `startTestBroker` over Debian's Mosquitto with the access list and configuration that Lares ships. */
export async function startMosquitto(): Promise<TestBroker> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-mosquitto-'));
  const port = await freePort();
  const conf = await writeFiles(folder, port);
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    child = spawn(binary ?? 'mosquitto', ['-c', conf], { stdio: 'ignore' });
    const exited = once(child, 'exit').then(() => true);
    while (!(await answers(port))) {
      if (await Promise.race([exited, sleep(20, false)])) throw new Error(`Mosquitto does not start with ${conf}`);
    }
  }

  async function kill(): Promise<void> {
    const dying = child;
    child = undefined;
    if (dying === undefined || dying.exitCode !== null) return;
    const exited = once(dying, 'exit');
    dying.kill('SIGKILL');
    await exited;
  }

  await start();
  const url = `mqtt://127.0.0.1:${port}`;
  const clients = new Clients(() => url);
  return {
    url,
    port,
    site,
    folder,
    credentials,
    connect: (agent, options) => clients.connect(agent, options),
    kill,
    restart: start,
    async [Symbol.asyncDispose]() {
      await clients.close();
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function writeFiles(folder: string, port: number): Promise<string> {
  const aclFile = join(folder, 'acl');
  const passwordFile = join(folder, 'passwd');
  const lines = Object.entries(credentials).map(([agent, password]) => `${agent}:${password}\n`);
  await writeFile(aclFile, mosquittoAcl(site), { mode: 0o600 });
  await writeFile(passwordFile, lines.join(''), { mode: 0o600 });
  execFileSync('mosquitto_passwd', ['-U', passwordFile]);
  const conf = join(folder, 'mosquitto.conf');
  // Started by root it would become the user "mosquitto", who may not read this folder.
  const user = process.getuid?.() === 0 ? 'user root\n' : '';
  await writeFile(conf, mosquittoConf({ port, aclFile, passwordFile, dataFolder: `${folder}/` }) + user);
  return conf;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
