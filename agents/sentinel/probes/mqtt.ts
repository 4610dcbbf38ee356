import { randomBytes } from 'node:crypto';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { messageOf } from '#bus/failure.ts';
import { classifyNetworkError } from './network-error.ts';
import { oneLine } from './text.ts';

export interface MqttTarget {
  /** `mqtt://host:1883` or `mqtts://host:8883`. */
  url: string;
  user?: string | undefined;
  password?: string | undefined;
  ca?: string[] | undefined;
  verify: boolean;
}

/** `retained`: the broker had it in store; nobody says when it was published. */
export interface MqttMessage {
  topic: string;
  payload: Buffer;
  retained: boolean;
}

/** Why there is no connection. `login`: it answered and does not let us in. */
export class MqttRefusal extends Error {
  readonly sort: 'login' | 'broker' | 'silent' | 'ours';
  constructor(sort: MqttRefusal['sort'], message: string) {
    super(message);
    this.sort = sort;
  }
}

/** CONNACK of MQTT 3.1.1, 3.2.2.3. */
const connackWords: Record<number, [MqttRefusal['sort'], string]> = {
  1: ['broker', 'it does not speak MQTT 3.1.1'],
  2: ['login', 'it does not accept the client id'],
  3: ['broker', 'it says that it is not available'],
  4: ['login', 'it does not accept the user or the password'],
  5: ['login', 'the user may not connect'],
};

const keepaliveSeconds = 30;
const refusedFrom = 128;
/** In 3.1.1 nobody can say how much they read, and a packet may have 256 MB. A picture of a camera has one or two. */
const maximumPacketBytes = 16 * 1_048_576;

/** One connection to a broker, without a session that would stay there. Contract: `close` and the signal end it. */
export class MqttConversation {
  readonly #client: MqttClient;
  readonly #listeners = new Set<(message: MqttMessage) => void>();
  #fault: MqttRefusal | undefined;
  #unacknowledged = 0;

  private constructor(client: MqttClient) {
    this.#client = client;
  }

  /** Resolves with the CONNACK. The timers of a quiet one keep no process from ending. */
  static async open(target: MqttTarget, of: { signal: AbortSignal; isQuiet?: boolean }): Promise<MqttConversation> {
    of.signal.throwIfAborted();
    const client = mqtt.connect(target.url, clientOptions(target, of.isQuiet === true));
    const conversation = new MqttConversation(client);
    const { promise, resolve, reject } = Promise.withResolvers<MqttConversation>();
    of.signal.addEventListener('abort', () => conversation.close(), { once: true });
    client.on('connect', () => resolve(conversation));
    client.on('error', (error) => {
      conversation.#fault ??= refusalOf(error);
    });
    client.on('close', () => {
      conversation.#fault ??= new MqttRefusal('silent', 'it hung up');
      reject(conversation.#fault);
    });
    client.on('message', (topic, payload, packet) => {
      for (const listener of conversation.#listeners) listener({ topic, payload, retained: packet.retain });
    });
    client.connect();
    setNoDelay(client);
    conversation.#boundPackets();
    return promise;
  }

  #boundPackets(): void {
    const client = this.#client;
    let unread = 0;
    client.on('packetreceive', () => {
      unread = 0;
    });
    client.stream.on('data', (chunk: Buffer) => {
      unread += chunk.length;
      if (unread <= maximumPacketBytes) return;
      this.#fault ??= new MqttRefusal('broker', `it sends a message of more than ${maximumPacketBytes} bytes`);
      client.stream.destroy();
    });
  }

  /** From now on it keeps no process from ending. */
  release(): void {
    const { stream } = this.#client;
    if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
  }

  get isOpen(): boolean {
    return this.#client.connected;
  }

  listen(listener: (message: MqttMessage) => void): void {
    this.#listeners.add(listener);
  }

  /** False when the broker refuses one of the filters. One that it grants may be silent all the same: Mosquitto's ACL. */
  async subscribe(filters: readonly string[], qos: 0 | 1 = 0): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#client.subscribe([...filters], { qos }, (error, granted) => {
        if (error && !this.#client.connected) reject(this.#fault ?? new MqttRefusal('silent', 'it hung up'));
        else resolve(!error && (granted ?? []).every((grant) => grant.qos < refusedFrom));
      });
      this.#client.once('close', () => reject(this.#fault ?? new MqttRefusal('silent', 'it hung up')));
    });
  }

  /** Resolves with the broker's acknowledgement (QoS 1). */
  async publish(topic: string, payload: string): Promise<void> {
    this.#unacknowledged += 1;
    return new Promise((resolve, reject) => {
      this.#client.publish(topic, payload, { qos: 1 }, (error) => {
        this.#unacknowledged -= 1;
        if (error) reject(this.#fault ?? new MqttRefusal('silent', 'it hung up'));
        else resolve();
      });
      this.#client.once('close', () => reject(this.#fault ?? new MqttRefusal('silent', 'it hung up')));
    });
  }

  close(): void {
    // Says DISCONNECT where it can; mqtt.js would first wait without end for what is not acknowledged.
    this.#client.end(!this.#client.connected || this.#unacknowledged > 0);
  }
}

function clientOptions(target: MqttTarget, isQuiet: boolean): IClientOptions {
  return {
    manualConnect: true,
    reconnectPeriod: 0,
    resubscribe: false,
    clean: true,
    protocolVersion: 4,
    clientId: `lares-look-${randomBytes(6).toString('hex')}`,
    keepalive: keepaliveSeconds,
    rejectUnauthorized: target.verify,
    ...(target.user !== undefined && { username: target.user }),
    ...(target.password !== undefined && { password: target.password }),
    ...(target.ca !== undefined && { ca: target.ca }),
    ...(isQuiet && {
      timerVariant: {
        set: (callback: () => void, ms: number) => setInterval(callback, ms).unref() as unknown as number,
        clear: (timer: number) => clearInterval(timer),
      },
    }),
  };
}

function setNoDelay({ stream }: MqttClient): void {
  if ('setNoDelay' in stream && typeof stream.setNoDelay === 'function') stream.setNoDelay(true);
}

function refusalOf(error: Error): MqttRefusal {
  const code = 'code' in error && typeof error.code === 'number' ? error.code : undefined;
  if (code !== undefined) {
    const [sort, words] = connackWords[code] ?? ['broker', `it refuses the connection with code ${code}`];
    return new MqttRefusal(sort, words);
  }
  if (/connack|packet|parse|header/i.test(messageOf(error))) {
    return new MqttRefusal('broker', `it does not speak MQTT: ${oneLine(messageOf(error), 100)}`);
  }
  const { cause, text } = classifyNetworkError(error);
  return new MqttRefusal(cause === 'ours' ? 'ours' : 'silent', text);
}
