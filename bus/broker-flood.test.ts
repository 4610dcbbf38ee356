import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Collected, frozen, ready } from '../test/parts/bus.ts';
import { credentials, startTestBroker, type TestBroker } from '../test/parts/broker.ts';
import { freeze } from './messages/freeze.ts';
import { rejected, type Rejected } from './messages/rejected.ts';
import { retainedBounds } from './retained-sizes.ts';

let broker: TestBroker;
const clients: MqttClient[] = [];
beforeEach(async () => {
  broker = await startTestBroker();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await broker[Symbol.asyncDispose]();
});

async function raw(options: IClientOptions = {}): Promise<MqttClient> {
  const client = await mqtt.connectAsync(broker.url, {
    username: 'sentinel',
    password: credentials.sentinel,
    clientId: 'lares-home-sentinel-thief',
    protocolVersion: 4,
    reconnectPeriod: 0,
    ...options,
  });
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}

describe("who has one agent's password", { timeout: 120_000 }, () => {
  it('opens no sessions without end, and shuts no agent out with those', async () => {
    let opened = 0;
    let refused: unknown;
    for (let index = 0; index < 60 && refused === undefined; index += 1) {
      try {
        const client = await raw({ clientId: `lares-home-sentinel-${index}`, clean: false });
        await client.subscribeAsync('lares/home/#', { qos: 1 });
        await client.endAsync();
        opened += 1;
      } catch (error) {
        refused = error;
      }
    }
    expect([opened, refused]).toMatchObject([32, { code: 3 }]);
    await raw({ clientId: 'lares-home-sentinel-0', clean: false });
    await raw({ clientId: 'lares-home-sentinel-quick', clean: true });
    const triage = broker.connect('triage');
    const got = new Collected<string>();
    triage.subscribe(freeze, ({ by }) => got.add(by));
    await ready(triage);
    triage.publish(freeze, frozen('flood'));
    expect(await got.count(1)).toHaveLength(1);
  });

  it('subscribes to no more filters than anybody needs', async () => {
    const thief = await raw();
    const granted: number[] = [];
    for (let index = 0; index < 130; index += 1) {
      const answer = await thief.subscribeAsync(`lares/home/finding/${index}`, { qos: 1 }).catch(() => []);
      granted.push(...answer.map(({ qos }) => qos));
    }
    expect(granted.filter((qos) => qos < 128)).toHaveLength(100);
  });

  it('fills no disk with what is retained, and no other kind is refused for it', async () => {
    const console_ = broker.connect('console');
    const notes = new Collected<Rejected>();
    const got = new Collected<string>();
    console_.subscribe(rejected, (note) => notes.add(note));
    console_.subscribe(freeze, ({ by }) => got.add(by));
    await ready(console_);
    const thief = await raw();
    const payload = Buffer.alloc(262_144, 'x');
    const fit = retainedBounds.bytes / payload.length;
    for (let index = 0; index < fit + 1; index += 1) {
      await thief.publishAsync(`lares/home/finding/${index}`, payload, { qos: 1, retain: true });
    }
    expect(await notes.count(1)).toMatchObject([
      { topic: `lares/home/finding/${fit}`, reason: 'too much of this kind is retained' },
    ]);
    // What is there may change and end.
    await thief.publishAsync('lares/home/finding/0', 'changed', { qos: 1, retain: true });
    await thief.publishAsync('lares/home/finding/1', '', { qos: 1, retain: true });
    await thief.publishAsync('lares/home/finding/new', 'fits again', { qos: 1, retain: true });
    console_.publish(freeze, frozen('flood'));
    await got.count(1);
    expect(await notes.count(1)).toHaveLength(1);
  });
});
