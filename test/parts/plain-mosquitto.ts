import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt, { type MqttClient } from 'mqtt';
import { type Daemon, startDaemon } from './daemon.ts';
import { freePort } from './free-port.ts';

/** Debian's Mosquitto as somebody else's broker: anybody may do anything there. */
export class PlainMosquitto implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #clients: MqttClient[] = [];
  #daemon: Daemon | undefined;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
  }

  static async start(): Promise<PlainMosquitto> {
    const broker = new PlainMosquitto(await freePort(), await mkdtemp(join(tmpdir(), 'lares-plain-mosquitto-')));
    await broker.resume();
    return broker;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  /** Starts it again after `kill`; what it held is gone. */
  async resume(): Promise<void> {
    const conf = join(this.#folder, 'mosquitto.conf');
    const user = process.getuid?.() === 0 ? 'user root\n' : '';
    await writeFile(conf, `listener ${this.port} 127.0.0.1\nallow_anonymous true\npersistence false\n${user}`);
    const isReady = async (): Promise<boolean> => {
      const client = await mqtt.connectAsync(this.url, { connectTimeout: 500, reconnectPeriod: 0 });
      await client.endAsync();
      return true;
    };
    this.#daemon = await startDaemon({ program: 'mosquitto', args: ['-c', conf], isReady });
  }

  async kill(): Promise<void> {
    await this.#daemon?.kill();
  }

  async publish(topic: string, message: unknown, retain = false): Promise<void> {
    const client = await mqtt.connectAsync(this.url);
    this.#clients.push(client);
    await client.publishAsync(topic, JSON.stringify(message), { qos: 1, retain });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.endAsync(true)));
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
