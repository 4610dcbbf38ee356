import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { startBroker } from '#bus/broker.ts';
import type { Bus } from '#bus/bus.ts';
import { connectBus } from '#bus/client.ts';
import { Failure, messageOf } from '#bus/failure.ts';
import { loadSecret } from '#bus/keys.ts';
import { AgentName } from '#bus/message.ts';
import type { LoadedConfig } from '#config/load.ts';
import { resolveSecret } from '#config/secrets.ts';
import type { SecretRef } from '#config/schema.ts';
import type { Log } from './runtime/log.ts';
import type { StateFolders } from './state-folder.ts';
import { version } from './version.ts';

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
  const passwords = AgentName.options.map((name) => [name, passwordOf(folders, name)]);
  const broker = await startBroker({
    site: config.site,
    folder: folders.bus,
    port: config.bus.port,
    credentials: Object.fromEntries(passwords) as Record<AgentName, string>,
    log,
  });
  writeFileSync(folders.busAddress, JSON.stringify({ url: broker.url }), { mode: 0o600 });
  return {
    ...accessTo(broker.url, { loaded, folders, log }),
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
  const { url, user, password, caFile } = config.bus;
  return {
    url,
    connect: (agent) =>
      connectBus({
        url,
        agent,
        site: config.site,
        version,
        ...(user !== undefined && { username: user.replaceAll('{agent}', agent) }),
        ...(password !== undefined && { password: resolveSecret(forAgent(password, agent), loaded.baseFolder) }),
        ...(caFile !== undefined && { ca: readAuthority(caFile) }),
        log,
      }),
    close: async () => {},
  };
}

function reachEmbedded(loaded: LoadedConfig, folders: StateFolders, log: Log): BusAccess {
  if (!existsSync(folders.busAddress)) {
    const reason = `nothing runs with the state folder "${folders.root}"; start it with "lares up"`;
    throw new Failure(`Cannot reach Lares: ${reason}`, { recoverable: true });
  }
  const { url } = BusAddress.parse(JSON.parse(readFileSync(folders.busAddress, 'utf8')));
  return accessTo(url, { loaded, folders, log });
}

/** To the broker that this process or another one embeds: each agent has a password in the state folder. */
function accessTo(url: string, of: { loaded: LoadedConfig; folders: StateFolders; log: Log }): BusAccess {
  const { site } = of.loaded.config;
  return {
    url,
    connect: (agent) =>
      connectBus({
        url,
        agent,
        site,
        version,
        username: agent,
        password: passwordOf(of.folders, agent),
        log: of.log,
      }),
    close: async () => {},
  };
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Failure(`Cannot trust the broker: "${file}" of bus.caFile cannot be read: ${messageOf(error)}`, {
      recoverable: false,
      cause: error,
    });
  }
}

function passwordOf(folders: StateFolders, agent: AgentName): string {
  return loadSecret(folders.keys, `bus-${agent}`).toString('hex');
}

/** `{agent}` in a secret's place stands for the agent, so that each can have its own. */
function forAgent(ref: SecretRef, agent: AgentName): SecretRef {
  return Object.fromEntries(Object.entries(ref).map(([place, value]) => [place, value?.replaceAll('{agent}', agent)]));
}
