import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bus } from '#bus/bus.ts';
import { connectBus } from '#bus/client.ts';
import type { BusLog } from '#bus/log.ts';
import type { AgentName } from '#bus/message.ts';

/** A bus to test against: a real broker that can be killed. */
export interface TestBroker extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly site: string;
  readonly folder: string;
  readonly credentials: Record<AgentName, string>;
  /** A new client; closed with the broker. */
  connect(agent: AgentName, options?: ConnectOptions): Bus;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts again on the same port with the same folder. */
  restart(): Promise<void>;
}

interface ConnectOptions {
  clientIdSuffix?: string;
  password?: string;
  url?: string;
  log?: BusLog;
}

export const site = 'home';
export const credentials: Record<AgentName, string> = {
  sentinel: 'sentinel-secret',
  triage: 'triage-secret',
  remediation: 'remediation-secret',
  console: 'console-secret',
};

const silent = (): void => undefined;
export const silentLog: BusLog = { debug: silent, info: silent, warn: silent, error: silent };

/** Clients of one broker, closed together. */
export class Clients {
  readonly #open: Bus[] = [];
  readonly #url: () => string;

  constructor(url: () => string) {
    this.#url = url;
  }

  connect(agent: AgentName, options: ConnectOptions = {}): Bus {
    const { clientIdSuffix, password = credentials[agent], url = this.#url(), log = silentLog } = options;
    const suffix = clientIdSuffix === undefined ? {} : { clientIdSuffix };
    const bus = connectBus({ url, agent, site, version: '0.0.0-test', username: agent, password, log, ...suffix });
    this.#open.push(bus);
    return bus;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((bus) => bus.close()));
  }
}

/** The embedded broker in a process of its own, so that it can be killed as the kernel would. */
export async function startTestBroker(options: { port?: number } = {}): Promise<TestBroker> {
  const folder = await mkdtemp(join(tmpdir(), 'lares-bus-'));
  let port = options.port ?? 0;
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    child = fork(fileURLToPath(new URL('broker-process.ts', import.meta.url)), [folder, String(port)], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const [started] = (await once(child, 'message')) as [{ port: number }];
    port = started.port;
  }

  async function kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const dying = child;
    child = undefined;
    if (dying === undefined || dying.exitCode !== null) return;
    const exited = once(dying, 'exit');
    dying.kill(signal);
    await exited;
  }

  await start();
  const clients = new Clients(() => `mqtt://127.0.0.1:${port}`);
  return {
    site,
    folder,
    credentials,
    get url() {
      return `mqtt://127.0.0.1:${port}`;
    },
    get port() {
      return port;
    },
    connect: (agent, connectOptions) => clients.connect(agent, connectOptions),
    kill: () => kill(),
    restart: start,
    async [Symbol.asyncDispose]() {
      await clients.close();
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
