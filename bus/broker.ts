import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer as createPlainServer, isIP, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { Aedes, type AuthenticateError, type Client, type PublishPacket } from 'aedes';
import { mayPublish, maySubscribe } from './access.ts';
import { Failure, messageOf } from './failure.ts';
import type { BusLog } from './log.ts';
import { makeFolder } from './make-folder.ts';
import { AgentName, encode, maximumMessageBytes, topicOf } from './message.ts';
import { rejected } from './messages/rejected.ts';
import { createPace } from './pace.ts';
import { SqlitePersistence } from './persistence-sqlite.ts';

interface BrokerOptions {
  site: string;
  /** `bus.db` is kept here. */
  folder: string;
  /** 0 or absent takes a free one. */
  port?: number;
  address?: string;
  credentials: Record<AgentName, string>;
  /** PEM texts. Needed for any address but loopback. */
  tls?: { cert: string; key: string };
  log: BusLog;
}

export interface Broker {
  url: string;
  port: number;
  close(): Promise<void>;
}

const rejectionsPerSecond = 10;
/** Topic, header and a little air around the largest payload. */
const maximumPacketBytes = maximumMessageBytes + 66_000;
const drainTimeoutMs = 30_000;
const connectTimeoutMs = 10_000;
/** CONNACK return codes of MQTT 3.1.1, 3.2.2.3. */
const unavailable = 3;
const badLogin = 4;
/** Beside those of the agents themselves: each is kept for ever and gets a copy of every message. */
const maximumSessions = 32;
/** Of one connection; an agent needs twenty. */
const maximumFilters = 100;

/**
 * The embedded broker. Contract: what it acknowledged at QoS 1 is on the disk before; it outlives `kill -9` for absent
 * sessions and as retained state.
 */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const address = options.address ?? '127.0.0.1';
  if (options.tls === undefined && !isLoopback(address)) {
    throw new Failure(`Cannot listen on "${address}": beyond loopback the bus needs a TLS certificate and key`, {
      recoverable: false,
    });
  }
  makeFolder(options.folder);
  const persistence = new SqlitePersistence(join(options.folder, 'bus.db'), options.log);
  const aedes = await Aedes.createBroker({ persistence, ...limits, ...new Gate(options, persistence).handlers });
  aedes.on('clientError', (client, error) => {
    options.log.debug({ client: client.id, error: messageOf(error) }, 'A bus client failed');
  });
  aedes.on('connectionError', (_client, error) => {
    options.log.debug({ error: messageOf(error) }, 'A bus connection failed');
  });
  // @ts-expect-error -- Emitted when the persistence fails, absent from the types.
  aedes.on('error', (error: Error) => options.log.error({ error: messageOf(error) }, 'The bus cannot keep messages'));
  await publishLeftWills(aedes, persistence);
  const sockets = new Set<Socket>();
  const server = createServer(options, (socket) => admit(aedes, socket, sockets));
  try {
    await listen(server, options.port ?? 0, address);
  } catch (error) {
    await closeBroker(aedes, persistence);
    throw error;
  }
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  const host = isIP(address) === 6 ? `[${address}]` : address;
  return {
    url: `${options.tls === undefined ? 'mqtt' : 'mqtts'}://${host}:${port}`,
    port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      await closeBroker(aedes, persistence);
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

const limits = { drainTimeout: drainTimeoutMs, connectTimeout: connectTimeoutMs, queueLimit: 1_000 };

function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^127(\.\d{1,3}){3}$/.test(address);
}

function createServer(options: BrokerOptions, admit: (socket: Socket) => void): Server {
  if (options.tls === undefined) return createPlainServer({ noDelay: true }, admit);
  return createTlsServer({ ...options.tls, minVersion: 'TLSv1.2', noDelay: true }, admit);
}

function admit(aedes: Aedes, socket: Socket, sockets: Set<Socket>): void {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
  const client = aedes.handle(socket) as Client & { _parser?: { _list?: { length: number } } };
  // The parser collects a packet of up to 256 MB before anybody may look at it, also from who has not logged in.
  socket.on('readable', () => {
    if ((client._parser?._list?.length ?? 0) > maximumPacketBytes) socket.destroy();
  });
}

async function listen(server: Server, port: number, address: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new Failure(`Cannot listen on "${address}:${port}": ${messageOf(error)}`, { recoverable: true, cause: error }),
      );
    });
    server.listen(port, address, () => resolve());
  });
}

async function closeBroker(aedes: Aedes, persistence: SqlitePersistence): Promise<void> {
  await new Promise<void>((resolve) => {
    aedes.close(() => resolve());
  });
  await persistence.destroy();
}

/** Who was connected when the broker died has no connection now: its last will is due. */
async function publishLeftWills(aedes: Aedes, persistence: SqlitePersistence): Promise<void> {
  for (const { clientId, will } of persistence.wills()) {
    await new Promise<void>((resolve) => {
      aedes.publish({ ...will, cmd: 'publish', dup: false } as PublishPacket, () => resolve());
    });
    await persistence.delWill({ id: clientId });
  }
}

type Done = (error?: Error | null) => void;

/** Decides who comes in and what passes. */
class Gate {
  readonly #options: BrokerOptions;
  readonly #persistence: SqlitePersistence;
  readonly #agents = new WeakMap<Client, AgentName>();
  /** Filters that a connection asked for. */
  readonly #filters = new WeakMap<Client, number>();
  readonly #rejections = createPace(rejectionsPerSecond);

  constructor(options: BrokerOptions, persistence: SqlitePersistence) {
    this.#options = options;
    this.#persistence = persistence;
  }

  get handlers(): NonNullable<Parameters<typeof Aedes.createBroker>[0]> {
    return {
      preConnect: (client, packet, done) => {
        this.#deliverInAnyOrder(client);
        // Checked here, because a will that outlives this broker is published when nobody can be asked any more.
        const agent = AgentName.safeParse(packet.username);
        const { will } = packet;
        if (will && !(agent.success && mayPublish(agent.data, this.#options.site, will.topic))) delete packet.will;
        done(null, true);
      },
      authenticate: (client, ...[username, password, done]) => {
        const agent = this.#identify(client.id, username, password);
        if (agent === undefined) return done(refusal('Bad user name, password or client id', badLogin), null);
        if (!this.#mayKeep(client, agent)) return done(refusal('Too many sessions are kept', unavailable), null);
        this.#agents.set(client, agent);
        this.#persistence.forgetMessageIds(client.id);
        done(null, true);
      },
      authorizePublish: (client, packet, done) => this.#authorizePublish(client, packet, done),
      authorizeSubscribe: (client, subscription, done) => {
        const agent = this.#agents.get(client);
        if (agent !== undefined && maySubscribe(this.#options.site, subscription.topic) && this.#isFew(client)) {
          done(null, subscription);
        } else {
          this.#options.log.warn({ agent, filter: subscription.topic.slice(0, 300) }, 'A subscription is refused');
          done(null, null);
        }
      },
      // aedes stores every filter of a packet of which it grants one, so that what is refused would still be queued.
      authorizeForward: (client, packet) => {
        const agent = this.#agents.get(client);
        return agent !== undefined && maySubscribe(this.#options.site, packet.topic) ? packet : null;
      },
    };
  }

  /**
   * aedes drops a message for a client when a later one overtook it, taking it for a repetition (`dedupe` in its
   * client.js). Messages do overtake each other here: those that wait for the disk and those that do not. Receivers
   * know what they have handled; the broker must not guess.
   */
  #deliverInAnyOrder(client: Client): void {
    const duplicates = new Proxy<Record<string, number>>({}, { get: () => 0, set: () => true });
    Object.assign(client, { duplicates });
  }

  /** An agent's own session is never shut out by what somebody opened under its name. */
  #mayKeep(client: Client, agent: AgentName): boolean {
    if (client.clean || client.id === ownIdOf(this.#options.site, agent)) return true;
    return this.#persistence.hasRoomForSession(client.id, maximumSessions);
  }

  #isFew(client: Client): boolean {
    const asked = (this.#filters.get(client) ?? 0) + 1;
    this.#filters.set(client, asked);
    return asked <= maximumFilters;
  }

  /** A session belongs to its agent: nobody else may take it over, with the messages that wait in it. */
  #identify(clientId: string, username: string | undefined, password: Buffer | undefined): AgentName | undefined {
    const agent = AgentName.safeParse(username);
    const expected = agent.success ? this.#options.credentials[agent.data] : '';
    const matches = timingSafeEqual(sha256(expected), sha256(password ?? ''));
    if (!agent.success || !matches || expected === '') return undefined;
    const own = ownIdOf(this.#options.site, agent.data);
    return clientId === own || clientId.startsWith(`${own}-`) ? agent.data : undefined;
  }

  #authorizePublish(client: Client | null, packet: PublishPacket, done: Done): void {
    if (client !== null) {
      const agent = this.#agents.get(client);
      const reason = this.#reasonAgainst(agent, packet);
      if (reason !== undefined) {
        this.#divert(agent ?? '', packet, reason);
        return done(null);
      }
    }
    if (packet.qos === 0) return done(null);
    // aedes acknowledges first and stores afterwards; here the message is stored before aedes may go on.
    this.#persistence.accept(packet, done);
  }

  #reasonAgainst(agent: AgentName | undefined, packet: PublishPacket): string | undefined {
    if (agent === undefined || !mayPublish(agent, this.#options.site, packet.topic)) {
      return `${agent ?? 'nobody'} may not write this topic`;
    }
    if (packet.payload.length > maximumMessageBytes) return `larger than ${maximumMessageBytes} bytes`;
    if (packet.retain && !this.#persistence.hasRoomFor(packet.topic, packet.payload.length)) {
      return 'too much of this kind is retained';
    }
    return undefined;
  }

  /**
   * An error here would close the connection, and the client would come back and send the same again, for ever. So the
   * message is acknowledged and becomes a note that it was rejected.
   */
  #divert(from: string, packet: PublishPacket, reason: string): void {
    const { site, log } = this.#options;
    const topic = packet.topic.slice(0, 300);
    const bytes = packet.payload.length;
    packet.retain = false;
    if (this.#rejections.admits()) {
      log.warn({ from, topic, reason, bytes }, 'A message is rejected');
      packet.topic = topicOf(site, rejected, '');
      packet.payload = encode(rejected, { by: 'broker', topic, reason, bytes, from, at: new Date().toISOString() });
    } else {
      // Nobody may subscribe to this topic.
      packet.topic = 'rejected';
      packet.payload = Buffer.alloc(0);
    }
  }
}

function ownIdOf(site: string, agent: AgentName): string {
  return `lares-${site}-${agent}`;
}

function sha256(text: string | Buffer): Buffer {
  return createHash('sha256').update(text).digest();
}

function refusal(message: string, returnCode: number): AuthenticateError {
  return Object.assign(new Error(message), { returnCode });
}
