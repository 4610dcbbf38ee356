import { readFileSync } from 'node:fs';
import { generate } from 'mqtt-packet';
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { Failure, messageOf } from '#bus/failure.ts';
import { absolutePath } from '#config/paths.ts';
import type { Config } from '#config/schema.ts';
import type { SecretRef } from '#config/secret-ref.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import { createRateLimit } from '#agents/runtime/rate-limit.ts';
import type { Complaints } from './complaints.ts';
import type { Foreign } from './foreign.ts';
import type { Incoming, Receiver } from './receiver.ts';
import type { Source, Subscription } from './source.ts';

interface SubscriberOptions {
  foreign: Pick<Foreign, 'say' | 'unsay'>;
  receiver: Pick<Receiver, 'receive'>;
  complaints: Complaints;
  secret: (ref: SecretRef) => string;
  clock: Clock;
  log: Log;
  config: Config;
  baseFolder: string;
}

export interface Subscriber {
  stop(): Promise<void>;
}

/** Messages within so short a time share one transaction. */
const gatherMs = 50;
/** So many may be unacknowledged, where the broker speaks MQTT 5; with 3.1.1 it decides itself, Mosquitto for 20. */
const receiveMaximum = 100;
/** In pieces of a message. */
const rate = { perSecond: 100, burst: 2_000 };
const pieceBytes = 16_384;
const reconnectMs = 5_000;
/** How long a broker may be away before that is a finding. */
const patienceMs = 120_000;
const closeMs = 1_000;
/** Beside the payload: the topic, and what MQTT 5 may add. */
const headBytes = 131_072;
/** Brokers that expire sessions keep what comes for as long (MQTT 5, 3.1.2.11.2). */
const sessionSeconds = 7 * 24 * 3_600;
/** CONNACK codes for "unacceptable protocol version", of MQTT 3.1.1 and of MQTT 5. */
const wrongProtocol = new Set([1, 132]);
const unreachable = 'intake-unreachable';
const deaf = 'an intake cannot listen at its broker';

/**
 * Listens at a broker for one source, for ever. Retained and repeated messages change nothing. Contract: a message is
 * acknowledged when it is stored; one that cannot be stays with the broker, which sends it again.
 */
export function startSubscriber(source: Source, options: SubscriberOptions): Subscriber {
  return new MqttSubscriber(source, options);
}

/** A message that is not stored yet. */
interface Waiting {
  incoming: Incoming;
  /** Says on the connection that it came over that it is; nothing for QoS 0. */
  acknowledge: () => void;
}

class MqttSubscriber implements Subscriber {
  readonly #source: Source;
  readonly #options: SubscriberOptions;
  readonly #client: MqttClient;
  readonly #limit;
  #cancelPatience: (() => void) | undefined;
  #reason = 'it does not answer';
  #waiting: Waiting[] = [];
  #cancelFlush: (() => void) | undefined;
  #isStopped = false;

  constructor(source: Source, options: SubscriberOptions) {
    this.#source = source;
    this.#options = options;
    this.#limit = createRateLimit({ ...rate, clock: options.clock });
    const wanted = subscriptionOf(source);
    const broker = brokerOf(wanted, source, options);
    this.#client = mqtt.connect(broker.url, clientOptions(source, broker, options));
    this.#client.on('connect', () => this.#connected(wanted.topics));
    this.#client.handleMessage = (packet, done) => this.#arrived(packet, done);
    this.#client.on('error', (error) => this.#failed(error));
    this.#client.on('close', () => this.#away());
    this.#away();
  }

  async stop(): Promise<void> {
    this.#flush();
    this.#isStopped = true;
    this.#cancelPatience?.();
    this.#client.removeAllListeners('close');
    const cut = this.#options.clock.after(closeMs, () => void this.#client.stream.destroy());
    await this.#client.endAsync(true);
    cut();
  }

  #connected(topics: readonly string[]): void {
    for (const topic of topics) {
      this.#client.subscribe(topic, { qos: 1 }, (error, granted = []) => {
        const isRefused = error !== null || granted.some(({ qos }) => qos >= 128);
        if (isRefused) this.#blind(`the broker refuses the topic filter "${topic}"`);
        else this.#seeing();
      });
    }
  }

  #failed(error: Error): void {
    this.#reason = messageOf(error);
    const { options } = this.#client;
    if (!('code' in error && typeof error.code === 'number' && wrongProtocol.has(error.code))) return;
    // It is tried again, in the words of MQTT 3.1.1.
    options.protocolVersion = 4;
    delete options.properties;
  }

  #seeing(): void {
    this.#cancelPatience?.();
    this.#cancelPatience = undefined;
    this.#options.complaints.settle(this.#source.name, deaf);
    this.#options.foreign.unsay(this.#source, unreachable);
  }

  #away(): void {
    this.#cancelPatience ??= this.#options.clock.after(patienceMs, () => this.#blind(this.#reason));
  }

  #blind(reason: string): void {
    this.#options.complaints.tell(this.#source.name, deaf, reason);
    this.#options.foreign.say(this.#source, {
      alertname: unreachable,
      severity: 'warning',
      condition: 'unknown',
      summary: `"${this.#source.name}" cannot listen at its broker: ${reason}`,
    });
  }

  /** What is too large or too much is gone: the broker would send it again and again. */
  #arrived(packet: IPublishPacket, done: (error?: Error) => void): void {
    if (this.#isStopped) return;
    const { topic, payload } = packet;
    const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(payload);
    if (!this.#isWelcome(bytes)) return done();
    this.#waiting.push({ incoming: { topic, bytes, headers: {} }, acknowledge: this.#acknowledgement(packet) });
    if (this.#waiting.length >= receiveMaximum) this.#flush();
    else this.#cancelFlush ??= this.#options.clock.after(gatherMs, () => this.#flush());
    // mqtt.js takes one message at a time, acknowledges it before the next, and nothing that came with an error.
    done(new Error('It is acknowledged when it is stored'));
  }

  #acknowledgement({ qos, messageId }: IPublishPacket): () => void {
    const { stream, options } = this.#client;
    const { protocolVersion } = options;
    return () => {
      if (qos !== 1 || messageId === undefined || stream.destroyed) return;
      stream.write(generate({ cmd: 'puback', messageId, reasonCode: 0 }, { protocolVersion }));
    };
  }

  #flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    const waiting = this.#waiting.splice(0);
    if (waiting.length === 0) return;
    const isStored = this.#isStored(waiting.map(({ incoming }) => incoming));
    if (isStored) for (const { acknowledge } of waiting) acknowledge();
    // Nothing else makes a broker send again: a new connection to the same session.
    else this.#client.stream.destroy();
  }

  #isWelcome(bytes: Buffer): boolean {
    const { name, definition } = this.#source;
    const { complaints } = this.#options;
    if (bytes.length === 0) return false;
    if (bytes.length > definition.maximumBytes) {
      complaints.tell(name, 'an intake got a message that is too large');
      return false;
    }
    if (this.#limit.take(name, Math.ceil(bytes.length / pieceBytes))) return true;
    complaints.tell(name, 'an intake is flooded with messages');
    return false;
  }

  #isStored(incoming: readonly Incoming[]): boolean {
    const { receiver, complaints } = this.#options;
    const { name } = this.#source;
    try {
      const received = receiver.receive(this.#source, ...incoming);
      if (received.is === 'refused') complaints.tell(name, 'an intake got what it cannot take', received.reason);
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      complaints.tell(name, 'an intake cannot store what it got', messageOf(error));
      return false;
    }
  }
}

function subscriptionOf(source: Source): Subscription {
  const wanted = source.definition.subscription?.(source.options);
  if (wanted === undefined) throw new TypeError(`Cannot listen for "${source.name}": its kind does not`);
  return wanted;
}

type Broker = NonNullable<Subscription['broker']>;

function brokerOf(wanted: Subscription, source: Source, { config }: SubscriberOptions): Broker {
  if (wanted.broker !== undefined) return wanted.broker;
  const { url, user, password, caFile } = config.bus;
  if (url === undefined) throw new TypeError(`Cannot listen for "${source.name}": no broker was bound to it`);
  const forSentinel = (text: string): string => text.replaceAll('{agent}', 'sentinel');
  return {
    url,
    ...(user !== undefined && { user: forSentinel(user) }),
    ...(password !== undefined && {
      password: password.file === undefined ? password : { ...password, file: forSentinel(password.file) },
    }),
    ...(caFile !== undefined && { caFile }),
  };
}

function clientOptions(source: Source, broker: Broker, options: SubscriberOptions): IClientOptions {
  const { user, password, caFile } = broker;
  return {
    // One name each, so that the broker keeps what comes while Lares is away.
    clientId: `lares-${options.config.site}-intake-${source.name}`.slice(0, 100),
    clean: false,
    // With MQTT 5 the broker keeps back what is larger than anybody reads; with 3.1.1 it would fill the memory here.
    protocolVersion: 5,
    properties: {
      sessionExpiryInterval: sessionSeconds,
      receiveMaximum,
      maximumPacketSize: source.definition.maximumBytes + headBytes,
    },
    reconnectPeriod: reconnectMs,
    // What a broker refuses now it may allow later: a login that is being made, another version.
    reconnectOnConnackError: true,
    connectTimeout: 10_000,
    keepalive: 20,
    ...(user !== undefined && { username: user }),
    ...(password !== undefined && { password: options.secret(password) }),
    ...(caFile !== undefined && { ca: authority(absolutePath(caFile, options.baseFolder)) }),
  };
}

function authority(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Failure(`Cannot read the authority "${file}"`, { recoverable: false, cause: error });
  }
}
