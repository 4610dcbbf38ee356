import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { type Broker, startBroker } from '#bus/broker.ts';
import type { Bus } from '#bus/bus.ts';
import { connectBus } from '#bus/client.ts';
import { Failure } from '#bus/failure.ts';
import { loadSecret } from '#bus/keys.ts';
import type { AgentName } from '#bus/message.ts';
import type { LoadedConfig } from '#config/load.ts';
import { resolveSecret } from '#config/secrets.ts';
import type { SecretRef } from '#config/schema.ts';
import type { Log } from './runtime/log.ts';
import type { StateFolders } from './state-folder.ts';
import { version } from './version.ts';

const names: readonly AgentName[] = ['sentinel', 'triage', 'remediation', 'console'];
const BusAddress = z.object({ url: z.string() });

/** How this process reaches the bus: the broker that it embeds, one that another process embeds, or an external one. */
export interface BusAccess {
  url: string;
  connect(agent: AgentName): Bus;
  close(): Promise<void>;
}

/** Starts the embedded broker and writes its address where the command line finds it. */
export async function embedBroker(loaded: LoadedConfig, folders: StateFolders, log: Log): Promise<BusAccess> {
  const { config } = loaded;
  const credentials = Object.fromEntries(names.map((name) => [name, passwordOf(folders, name)])) as Record<
    AgentName,
    string
  >;
  const broker: Broker = await startBroker({
    site: config.site,
    folder: folders.bus,
    port: config.bus.port,
    credentials,
    log,
  });
  writeFileSync(folders.busAddress, JSON.stringify({ url: broker.url }), { mode: 0o600 });
  return {
    url: broker.url,
    connect: (agent) =>
      connectBus({
        url: broker.url,
        agent,
        site: config.site,
        version,
        username: agent,
        password: credentials[agent],
        log,
      }),
    close: async () => {
      rmSync(folders.busAddress, { force: true });
      await broker.close();
    },
  };
}

/** The external broker of the configuration, or the one that a running `lares up` embeds. */
export function reachBroker(loaded: LoadedConfig, folders: StateFolders, log: Log): BusAccess {
  const { config } = loaded;
  if (config.bus.url === undefined) return reachEmbedded(loaded, folders, log);
  const { url, username, password, caFile } = config.bus;
  return {
    url,
    connect: (agent) =>
      connectBus({
        url,
        agent,
        site: config.site,
        version,
        ...(username !== undefined && { username: username.replaceAll('{agent}', agent) }),
        ...(password !== undefined && { password: resolveSecret(forAgent(password, agent), loaded.baseFolder) }),
        ...(caFile !== undefined && { ca: readFileSync(caFile, 'utf8') }),
        log,
      }),
    close: async () => {},
  };
}

function reachEmbedded(loaded: LoadedConfig, folders: StateFolders, log: Log): BusAccess {
  if (!existsSync(folders.busAddress)) {
    throw new Failure(
      `Cannot reach Lares: nothing runs with the state folder "${folders.root}"; start it with "lares up"`,
      {
        recoverable: true,
      },
    );
  }
  const { url } = BusAddress.parse(JSON.parse(readFileSync(folders.busAddress, 'utf8')));
  return {
    url,
    connect: (agent) =>
      connectBus({
        url,
        agent,
        site: loaded.config.site,
        version,
        username: agent,
        password: passwordOf(folders, agent),
        log,
      }),
    close: async () => {},
  };
}

function passwordOf(folders: StateFolders, agent: AgentName): string {
  return loadSecret(folders.keys, `bus-${agent}`).toString('hex');
}

/** `{agent}` in a secret's place stands for the agent, so that each can have its own. */
function forAgent(ref: SecretRef, agent: AgentName): SecretRef {
  return Object.fromEntries(Object.entries(ref).map(([place, value]) => [place, value?.replaceAll('{agent}', agent)]));
}
