import { userInfo } from 'node:os';
import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import { createInventory } from '#config/inventory.ts';
import type { LoadedConfig } from '#config/load.ts';
import { openPeople, type People } from '#config/people.ts';
import { resolveSecret } from '#config/secrets.ts';
import { loadCatalogue } from '#playbooks/catalogue.ts';
import type { Catalogue } from '#playbooks/playbook.ts';
import { type BusAccess, embedBroker, reachBroker } from './bus-access.ts';
import type { Agent, AgentContext } from './runtime/agent.ts';
import { type Clock, systemClock } from './runtime/clock.ts';
import { startHealth } from './runtime/health.ts';
import { createHttpSurface, type HttpAnswer } from './runtime/http.ts';
import { lockInstance } from './runtime/instance-lock.ts';
import type { Log } from './runtime/log.ts';
import { createMetrics, expositionType } from './runtime/metrics.ts';
import { startOutboundHeartbeat } from './runtime/outbound-heartbeat.ts';
import type { Sentinel } from './sentinel/sentinel.ts';
import { makePrivateFolder, roomBelow, type StateFolders, stateFolders } from './state-folder.ts';
import type { Channel } from './triage/channel.ts';
import type { TelegramChannel } from './triage/channels/telegram.ts';
import type { TerminalChannel } from './triage/channels/terminal.ts';
import { version } from './version.ts';

export type Member = Agent['name'];

/** Started in this order and stopped in reverse: who listens is there before who speaks. */
export const everyone: readonly Member[] = ['triage', 'remediation', 'sentinel'];

export interface TerminalIo {
  input: NodeJS.ReadableStream;
  output: NodeJS.WritableStream;
  color: boolean;
  interactive: boolean;
}

interface CrewOptions {
  loaded: LoadedConfig;
  members: readonly Member[];
  log: Log;
  /** The terminal of the process, when it is a channel. */
  terminal?: TerminalIo;
  clock?: Clock;
}

export interface Crew {
  folders: StateFolders;
  access: BusAccess;
  httpPort: number;
  /** Present when sentinel is a member. */
  sentinel: Sentinel | undefined;
  people: People;
  /** Words for whoever sits at the terminal go through it, so that they stand above its prompt. */
  terminal: TerminalChannel | undefined;
  stop(): Promise<void>;
}

interface Shared extends Omit<AgentContext, 'bus' | 'stateFolder'> {
  loaded: LoadedConfig;
  folders: StateFolders;
  options: CrewOptions;
  terminal?: TerminalChannel | undefined;
}

/** Starts the members in this process. Throws a Failure when one cannot start; what had started is stopped again. */
export async function startCrew(options: CrewOptions): Promise<Crew> {
  await using starting = new AsyncDisposableStack();
  const folders = stateFolders(options.loaded);
  makePrivateFolder(folders.root);
  for (const member of options.members) {
    const lock = lockInstance(folders.root, member);
    starting.defer(() => lock.release());
  }
  const access = await openAccess(options, folders);
  starting.defer(() => access.close());
  const { config } = options.loaded;
  const metrics = createMetrics();
  metrics.gauge('build_info', 'Always 1; the version is in the label.', { labels: { version }, value: 1 });
  const http = createHttpSurface({ ...config.http, log: options.log });
  const terminal = await openConfiguredTerminal(options);
  const shared = { ...shareContext(options, folders, { metrics, http }), terminal };
  const buses = new Map<Member, Bus>();
  http.route(['GET'], '/metrics', () => ({ status: 200, body: metrics.exposition(), type: expositionType }));
  const healthNow = (): HttpAnswer => health(buses, folders.root);
  http.route(['GET'], '/healthz', healthNow);
  metrics.beforePage(() =>
    metrics.gauge('state_free_bytes', 'Space left for the state folder.', { value: roomBelow(folders.root).freeBytes }),
  );
  let sentinel: Sentinel | undefined;
  for (const member of everyone.filter((name) => options.members.includes(name))) {
    const agent = await startMember(member, { shared, access, buses, starting });
    if (agent.name === 'sentinel') sentinel = agent as Sentinel;
  }
  const { port } = await http.listen();
  starting.defer(() => http.close());
  if (config.heartbeat !== undefined) {
    const heartbeat = startOutboundHeartbeat({
      ...config.heartbeat,
      ...shared,
      isWell: () => healthNow().status === 200,
    });
    starting.defer(() => heartbeat.stop());
  }
  const running = starting.move();
  return {
    folders,
    access,
    httpPort: port,
    sentinel,
    people: shared.people,
    terminal,
    stop: () => running.disposeAsync(),
  };
}

function openAccess(options: CrewOptions, folders: StateFolders): Promise<BusAccess> | BusAccess {
  if (options.loaded.config.bus.url !== undefined) return reachBroker(options.loaded, folders, options.log);
  if (options.members.length === everyone.length) return embedBroker(options.loaded, folders, options.log);
  const reason = 'bus.url names no broker, and the embedded one lives in "lares up"';
  throw new Failure(`Cannot start ${options.members.join(', ')} alone: ${reason}`, { recoverable: false });
}

function shareContext(
  options: CrewOptions,
  folders: StateFolders,
  surfaces: Pick<Shared, 'metrics'> & { http: AgentContext['http'] },
): Shared {
  const { config } = options.loaded;
  return {
    ...surfaces,
    config,
    baseFolder: options.loaded.baseFolder,
    inventory: createInventory(config),
    keysFolder: folders.keys,
    people: openPeople(config, folders.root),
    clock: options.clock ?? systemClock,
    log: options.log,
    loaded: options.loaded,
    folders,
    options,
  };
}

interface Start {
  shared: Shared;
  access: BusAccess;
  buses: Map<Member, Bus>;
  starting: AsyncDisposableStack;
}

async function startMember(member: Member, { shared, access, buses, starting }: Start): Promise<Agent> {
  const bus = access.connect(member);
  buses.set(member, bus);
  starting.defer(() => bus.close());
  makePrivateFolder(shared.folders.of(member));
  const context: AgentContext = {
    ...shared,
    bus,
    stateFolder: shared.folders.of(member),
    log: shared.log.child({ agent: member }),
  };
  const agent = await create[member](context, shared, starting);
  starting.defer(() => agent.stop());
  await agent.start();
  const reporter = startHealth({
    ...context,
    agent: member,
    queues: () => agent.queues(),
    journalHead: () => agent.journalHead(),
  });
  starting.defer(() => reporter.stop());
  return agent;
}

type Create = (context: AgentContext, shared: Shared, starting: AsyncDisposableStack) => Promise<Agent> | Agent;

/** Each member's code is loaded with it: a process that runs one agent holds only that one. */
const create: Record<Member, Create> = {
  sentinel: async (context) => (await import('./sentinel/sentinel.ts')).createSentinel(context),
  remediation: async (context) => (await import('./remediation/remediation.ts')).createRemediation(context),
  triage: createTriageMember,
};

async function createTriageMember(
  context: AgentContext,
  shared: Shared,
  starting: AsyncDisposableStack,
): Promise<Agent> {
  const { createAssessor } = await import('./triage/assess/assess.ts');
  const { createTriage } = await import('./triage/triage.ts');
  const catalogue = await openCatalogue(shared.loaded);
  for (const fault of catalogue.faults) context.log.warn({ ...fault }, 'a playbook is left out');
  const assessor = await createAssessor({ ...context, catalogue });
  starting.defer(() => assessor.close());
  const telegram = await openConfiguredTelegram(context);
  const channels: Channel[] = [...(telegram ? [telegram] : []), ...(shared.terminal ? [shared.terminal] : [])];
  const pairLink = (nonce: string): string | undefined =>
    telegram?.botName ? `https://t.me/${telegram.botName}?start=${nonce}` : undefined;
  return createTriage(context, { channels, assessor, catalogue, pairLink });
}

/** The playbooks that ship and those of the configured folder, without the wrong ones, which are its `faults`. */
export function openCatalogue(loaded: LoadedConfig): Promise<Catalogue> {
  return loadCatalogue(loaded.config.remediation.playbooks);
}

async function openConfiguredTelegram(context: AgentContext): Promise<TelegramChannel | undefined> {
  const { telegram } = context.config;
  if (telegram === undefined) return undefined;
  const { token, ...rest } = telegram;
  const { openTelegram } = await import('./triage/channels/telegram.ts');
  return openTelegram({
    ...context,
    ...rest,
    timeZone: context.config.digest.timezone,
    token: resolveSecret(token, context.baseFolder),
  });
}

async function openConfiguredTerminal(options: CrewOptions): Promise<TerminalChannel | undefined> {
  if (options.terminal === undefined || !options.loaded.config.terminal) return undefined;
  const { openTerminal } = await import('./triage/channels/terminal.ts');
  const timeZone = options.loaded.config.digest.timezone;
  return openTerminal({ ...options.terminal, user: userInfo().username, timeZone });
}

/** 200 while every agent of this process is connected to the bus and can keep what it does. */
function health(buses: ReadonlyMap<Member, Bus>, stateFolder: string): HttpAnswer {
  const agents = Object.fromEntries(
    [...buses].map(([name, bus]) => [name, bus.connected ? 'connected' : 'disconnected']),
  );
  const { trouble } = roomBelow(stateFolder);
  const isWell = trouble === undefined && [...buses.values()].every((bus) => bus.connected);
  return {
    status: isWell ? 200 : 503,
    body: JSON.stringify({ status: isWell ? 'ok' : 'degraded', agents, state: trouble ?? 'ok' }),
    type: 'application/json',
  };
}
