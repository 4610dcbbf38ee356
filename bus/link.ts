import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { writeToStream } from 'mqtt-packet';
import { messageOf } from './failure.ts';
import { maximumMessageBytes } from './message.ts';

/** MQTT 5 where the broker speaks it, else 3.1.1. Nothing in Lares depends on 5. */
export type Protocol = 4 | 5;

interface LinkSettings {
  url: string;
  clientId: string;
  protocol: Protocol;
  clean: boolean;
  will: { topic: string; payload: Buffer };
  username?: string;
  password?: string;
  ca?: string;
}

/** One message as it came in. Contract: `ack` is called once, when the message may be forgotten by the broker. */
export interface Arrival {
  topic: string;
  payload: Buffer;
  retained: boolean;
  ack(): void;
}

export type LinkEnd = { end: 'wrong-protocol' } | { end: 'closed'; upMs: number; reason: string };

interface LinkHandlers {
  up(): void;
  /** Takes a message; the returned promise holds back the reading of more. */
  arrive(arrival: Arrival): Promise<void> | undefined;
  /** Called once, when the connection is gone or never came to be. */
  ended(end: LinkEnd): void;
}

export type Sent = 'acknowledged' | 'refused' | 'lost';

/** One connection, from CONNECT to its end. It never reconnects by itself: a new one is opened. */
export interface Link {
  publish(topic: string, payload: Buffer, retain: boolean): Promise<Sent>;
  /** False when the broker refuses the filter. Rejects when the connection ends first. */
  subscribe(filter: string): Promise<boolean>;
  unsubscribe(filter: string): void;
  /** Says DISCONNECT, so that the broker sends no will. */
  close(): Promise<void>;
}

/** Queued messages of an absent agent are kept for a week by brokers that expire sessions (MQTT 5, 3.1.2.11.2). */
const sessionExpirySeconds = 7 * 24 * 3_600;
const keepaliveSeconds = 20;
/** A broker that takes whatever comes keeps back what is larger (MQTT 5, 3.1.2.11.4): somebody's 200 MB are not read here. */
const maximumPacketSize = 4 * maximumMessageBytes;
const connectTimeoutMs = 10_000;
const closeTimeoutMs = 1_000;
/** CONNACK codes for "unacceptable protocol version", of MQTT 3.1.1 and of MQTT 5. */
const wrongProtocolCodes = new Set([1, 132]);
/** SUBACK: every code from here on is a refusal. */
const refusedFrom = 128;

// A table of all 65,536 packet numbers costs 12 MB; making each when it is written costs nothing that can be measured.
writeToStream.cacheNumbers = false;

export function openLink(settings: LinkSettings, handlers: LinkHandlers): Link {
  const client = mqtt.connect(settings.url, clientOptions(settings));
  const link = new MqttLink(client, handlers);
  client.connect();
  link.watchSocket();
  return link;
}

function clientOptions(settings: LinkSettings): IClientOptions {
  const { protocol, username, password, ca } = settings;
  return {
    // Messages that waited in the session arrive with the CONNACK, so the handler must be set before connecting.
    manualConnect: true,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    clientId: settings.clientId,
    clean: settings.clean,
    protocolVersion: protocol,
    keepalive: keepaliveSeconds,
    connectTimeout: connectTimeoutMs,
    will: { ...settings.will, qos: 1, retain: true },
    ...(protocol === 5 && {
      properties: { maximumPacketSize, ...(!settings.clean && { sessionExpiryInterval: sessionExpirySeconds }) },
    }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(ca !== undefined && { ca }),
  };
}

class MqttLink implements Link {
  readonly #client: MqttClient;
  readonly #handlers: LinkHandlers;
  readonly #lost = new AbortController();
  #upAt: number | undefined;
  #reason = 'connection closed';
  #wrongProtocol = false;
  #ended = false;

  constructor(client: MqttClient, handlers: LinkHandlers) {
    this.#client = client;
    this.#handlers = handlers;
    client.handleMessage = (packet, done) => this.#arrived(packet, done);
    client.on('connect', () => {
      this.#upAt = performance.now();
      handlers.up();
    });
    client.on('error', (error) => {
      this.#reason = messageOf(error);
      this.#wrongProtocol = 'code' in error && typeof error.code === 'number' && wrongProtocolCodes.has(error.code);
    });
    client.on('disconnect', (packet) => {
      this.#reason = `the broker said goodbye with reason code ${packet.reasonCode ?? 0}`;
    });
    client.on('close', () => this.#end());
  }

  /** Nagle's algorithm and delayed acknowledgements together cost 40 ms a message. */
  watchSocket(): void {
    const { stream } = this.#client;
    if ('setNoDelay' in stream && typeof stream.setNoDelay === 'function') stream.setNoDelay(true);
  }

  async publish(topic: string, payload: Buffer, retain: boolean): Promise<Sent> {
    return new Promise((resolve) => {
      const lost = (): void => resolve('lost');
      if (this.#lost.signal.aborted) return lost();
      this.#lost.signal.addEventListener('abort', lost, { once: true });
      this.#client.publish(topic, payload, { qos: 1, retain }, (error) => {
        this.#lost.signal.removeEventListener('abort', lost);
        const code = error !== undefined && error !== null && 'code' in error ? error.code : 0;
        if (code >= refusedFrom) resolve('refused');
        else resolve(error ? 'lost' : 'acknowledged');
      });
    });
  }

  async subscribe(filter: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const lost = (): void => reject(new Error(this.#reason));
      if (this.#lost.signal.aborted) return lost();
      this.#lost.signal.addEventListener('abort', lost, { once: true });
      // One filter a packet: mqtt.js fails a whole list when the broker refuses one of it.
      this.#client.subscribe(filter, { qos: 1 }, (error, granted) => {
        this.#lost.signal.removeEventListener('abort', lost);
        if (error && this.#lost.signal.aborted) lost();
        else resolve(!error && (granted ?? []).every((grant) => grant.qos < refusedFrom));
      });
    });
  }

  unsubscribe(filter: string): void {
    if (!this.#ended) this.#client.unsubscribe(filter, () => undefined);
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    // mqtt.js waits for acknowledgements without end, and a second `end` would do nothing.
    const timer = setTimeout(() => this.#client.stream.destroy(), closeTimeoutMs);
    this.#lost.signal.addEventListener('abort', () => clearTimeout(timer));
    await Promise.race([
      this.#client.endAsync(this.#upAt === undefined),
      new Promise((resolve) => this.#lost.signal.addEventListener('abort', resolve)),
    ]);
    this.#end();
  }

  /**
   * mqtt.js handles one packet at a time and sends the PUBACK when `done` is called without an error. Waiting for the
   * listeners there would hold back PINGRESP, PUBACK and SUBACK behind one slow message. So the packet is passed over
   * with an error, which only skips the PUBACK, and the PUBACK is sent when the message was really handled.
   */
  #arrived(
    packet: { topic: string; payload: string | Buffer; qos: number; retain: boolean; messageId?: number | undefined },
    done: (error?: Error) => void,
  ): void {
    const { messageId } = packet;
    const hold = this.#handlers.arrive({
      topic: packet.topic,
      payload: Buffer.from(packet.payload),
      retained: packet.retain,
      ack: () => {
        if (packet.qos === 0 || this.#ended || messageId === undefined) return;
        this.#client['_sendPacket']({ cmd: 'puback', messageId, reasonCode: 0 });
      },
    });
    const goOn = (): void => done(packet.qos === 0 ? undefined : new Error('Acknowledged later'));
    if (hold === undefined) goOn();
    else void hold.then(goOn);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#lost.abort();
    this.#client.end(true);
    if (this.#wrongProtocol) this.#handlers.ended({ end: 'wrong-protocol' });
    else {
      const upMs = this.#upAt === undefined ? 0 : Math.max(1, performance.now() - this.#upAt);
      this.#handlers.ended({ end: 'closed', upMs, reason: this.#reason });
    }
  }
}
