import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Collected, frozen, patience, ready } from '../test/parts/bus.ts';
import { credentials, silentLog, startTestBroker, type TestBroker } from '../test/parts/broker.ts';
import { startBroker } from './broker.ts';
import { connectBus } from './client.ts';
import { agentState } from './messages/agent-state.ts';
import { freeze } from './messages/freeze.ts';
import { rejected, type Rejected } from './messages/rejected.ts';

let broker: TestBroker;
const clients: MqttClient[] = [];
beforeEach(async () => {
  broker = await startTestBroker();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await broker[Symbol.asyncDispose]();
});

function login(options: IClientOptions = {}): IClientOptions {
  const username = options.username ?? 'triage';
  const password = credentials[username as keyof typeof credentials];
  return {
    username,
    password,
    clientId: `lares-home-${username}-raw`,
    protocolVersion: 4,
    reconnectPeriod: 0,
    ...options,
  };
}

async function raw(options?: IClientOptions): Promise<MqttClient> {
  const client = await mqtt.connectAsync(broker.url, login(options));
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}

describe('killed with kill -9', { timeout: 60_000 }, () => {
  it('loses no acknowledged message for an absent session, and no retained one', async () => {
    const absent = await raw({ username: 'remediation', clean: false });
    await absent.subscribeAsync('lares/home/#', { qos: 1 });
    await absent.endAsync();
    const acknowledged = new Set<string>();
    // Killed at the first acknowledgement, in the middle of the stream and late in it.
    for (const [round, killAfter] of [1, 1, 1, 40, 1_500].entries()) {
      const enough = Promise.withResolvers<void>();
      const sender = await raw();
      const before = acknowledged.size;
      for (let index = 0; index < killAfter + 200; index += 1) {
        const topic = `lares/home/incident/${round * 10_000 + index}`;
        sender.publish(topic, topic, { qos: 1, retain: index % 4 === 0 }, (error) => {
          if (error) return;
          acknowledged.add(topic);
          if (acknowledged.size === before + killAfter) enough.resolve(broker.kill());
        });
      }
      await enough.promise;
      sender.end(true);
      await broker.restart();
    }
    const retained = [...acknowledged].filter((topic) => Number(topic.split('/')[3]) % 4 === 0);
    const queued = await topicsOf({ username: 'remediation', clean: false }, acknowledged);
    const kept = await topicsOf({ username: 'sentinel', subscribe: 'lares/home/incident/+' }, new Set(retained));
    expect([...acknowledged].filter((topic) => !queued.has(topic))).toEqual([]);
    expect(retained.filter((topic) => !kept.has(topic))).toEqual([]);
  });

  it('tells of those who were connected then', async () => {
    const sentinel = broker.connect('sentinel', { clientIdSuffix: 'a' });
    await ready(sentinel);
    await broker.kill();
    await sentinel.close();
    await broker.restart();
    const console_ = broker.connect('console');
    const states = new Collected<string>();
    console_.subscribe(agentState, ({ agent, state }) => states.add(`${agent} ${state}`));
    expect(await states.until((items) => items.includes('sentinel offline'))).toContain('sentinel offline');
  });
});

/** Topics that a client receives, until it has those that are expected or waited long. */
async function topicsOf(
  options: IClientOptions & { subscribe?: string },
  expected: ReadonlySet<string>,
): Promise<Set<string>> {
  const topics = new Set<string>();
  const all = Promise.withResolvers<void>();
  const client = mqtt.connect(broker.url, { ...login(options), manualConnect: true });
  clients.push(client);
  client.on('message', (topic) => {
    topics.add(topic);
    if ([...expected].every((one) => topics.has(one))) all.resolve();
  });
  if (options.subscribe !== undefined) client.subscribe(options.subscribe, { qos: 1 });
  client.connect();
  AbortSignal.timeout(patience).addEventListener('abort', () => all.resolve());
  await all.promise;
  return topics;
}

it('messages that overtake each other all arrive', async () => {
  const receiver = await raw({ username: 'remediation', clean: false });
  const got = new Collected<string>();
  receiver.on('message', (_topic, payload) => got.add(payload.toString()));
  await receiver.subscribeAsync('lares/home/#', { qos: 1 });
  const sender = await raw();
  const expected: string[] = [];
  for (let index = 0; index < 300; index += 1) {
    // At QoS 0 nothing waits for the disk, at QoS 1 all do, and retained ones take another way again.
    sender.publish('lares/home/incident/x', `${index}`, { qos: index % 3 === 0 ? 0 : 1, retain: index % 2 === 0 });
    expected.push(`${index}`);
  }
  const all = await got.until((items) => new Set(items).size >= 300);
  expect(new Set(all)).toEqual(new Set(expected));
});

describe('who may come in', () => {
  const refused = async (options: IClientOptions): Promise<number> =>
    mqtt.connectAsync(broker.url, login(options), false).then(
      () => 0,
      (error: { code: number }) => error.code,
    );

  it('is who has the password of an agent', async () => {
    expect(await refused({ password: 'wrong' })).toBe(4);
    expect(await refused({ password: '' })).toBe(4);
    expect(await refused({ username: 'root', password: 'x' })).toBe(4);
    expect(await refused({ username: '__proto__', password: 'x' })).toBe(4);
    expect(await refused({ username: 'triage', password: credentials.console })).toBe(4);
  });

  it("does not take another agent's session", async () => {
    expect(await refused({ clientId: 'lares-home-sentinel' })).toBe(4);
    expect(await refused({ clientId: 'lares-home-triagex' })).toBe(4);
    expect(await refused({ clientId: '' })).toBe(4);
    expect(await refused({ clientId: 'lares-home-triage' })).toBe(0);
  });

  it('speaks MQTT 3.1.1', async () => {
    expect(await refused({ protocolVersion: 5 })).toBe(1);
  });
});

describe('what may pass', () => {
  it('subscriptions outside the site and shared ones are refused', async () => {
    const client = await raw();
    for (const filter of ['#', '$SYS/#', '$share/g/lares/home/#', 'lares/other/#', 'rejected']) {
      await expect(client.subscribeAsync(filter, { qos: 1 })).rejects.toThrow(/Subscribe error|Unspecified/);
    }
    const [granted] = await client.subscribeAsync('lares/home/#', { qos: 1 });
    expect(granted?.qos).toBe(1);
  });

  it('a refused filter that came along with a granted one brings nothing, not even later', async () => {
    const session = { username: 'remediation', clean: false };
    const spy = await raw(session);
    await expect(spy.subscribeAsync(['#', 'lares/home/freeze', '#'], { qos: 1 })).rejects.toThrow(/error/);
    await spy.endAsync();
    const sender = await raw();
    // Denied, and more of them than are noted: the rest goes to a topic outside the site.
    const denied = Array.from({ length: 30 }, () => sender.publishAsync('lares/home/finding/x', 'x', { qos: 1 }));
    await Promise.all(denied);
    await sender.publishAsync('lares/home/freeze', 'x', { qos: 1 });
    const own = new Set(['lares/home/bridge/rejected', 'lares/home/freeze']);
    expect(await topicsOf(session, own)).toEqual(own);
  });

  it('what is denied becomes a note about it, at most ten a second', async () => {
    const watcher = broker.connect('console');
    const notes = new Collected<Rejected>();
    watcher.subscribe(rejected, (payload) => notes.add(payload));
    await ready(watcher);
    const client = await raw({ username: 'remediation' });
    const topics = ['$SYS/x', 'other', 'lares/home/approval/p1', 'lares/home/agent/triage/state', 'homeassistant/x'];
    for (const topic of topics) await client.publishAsync(topic, 'x', { qos: 1, retain: true });
    expect((await notes.count(5)).map(({ by, from, topic }) => [by, from, topic])).toEqual(
      topics.map((topic) => ['broker', 'remediation', topic]),
    );
    await Promise.all(Array.from({ length: 500 }, () => client.publishAsync('other', 'x', { qos: 1 })));
    expect(client.connected).toBe(true);
    expect(notes.items.length).toBeLessThan(100);
  });

  it('a will that its agent could not have published is not published', async () => {
    const watcher = await raw({ username: 'console' });
    const got = new Collected<string>();
    watcher.on('message', (topic) => got.add(topic));
    await watcher.subscribeAsync('lares/home/#', { qos: 1 });
    const will = { topic: 'lares/home/agent/triage/state', payload: Buffer.from('x'), qos: 1 as const, retain: true };
    const liar = await raw({ username: 'remediation', will });
    liar.stream.destroy();
    const last = await raw();
    await last.publishAsync('lares/home/incident/end', 'x', { qos: 1 });
    expect(await got.until((items) => items.includes('lares/home/incident/end'))).not.toContain(will.topic);
  });

  it('a packet without end is cut off, before any login', async () => {
    const socket = connect(broker.port, '127.0.0.1');
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.on('close', resolve));
    // PUBLISH with a remaining length of 256 MB.
    socket.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]));
    const chunk = Buffer.alloc(65_536, 'x');
    let sent = 0;
    const more = (): void => {
      while (!socket.destroyed && sent < 16_000_000) {
        sent += chunk.length;
        if (!socket.write(chunk)) return void socket.once('drain', more);
      }
    };
    more();
    await closed;
    expect(sent).toBeLessThan(16_000_000);
    await ready(broker.connect('triage'));
  });
});

describe('where it listens', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lares-broker-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const options = { site: 'home', credentials, log: silentLog };

  it('is loopback, or anywhere with TLS', async () => {
    await expect(startBroker({ ...options, folder, address: '0.0.0.0' })).rejects.toThrow(
      'Cannot listen on "0.0.0.0": beyond loopback the bus needs a TLS certificate and key',
    );
    expect(existsSync(join(folder, 'bus.db'))).toBe(false);
  });

  it('is not where somebody else listens, and it says so', async () => {
    await expect(startBroker({ ...options, folder, port: broker.port })).rejects.toThrow(
      /Cannot listen on .*EADDRINUSE/,
    );
  });

  it('speaks TLS, and a client believes only the authority that it was given', async () => {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '2',
        '-subj',
        '/CN=localhost',
        '-keyout',
        key,
        '-out',
        cert,
      ].concat(['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']),
      { stdio: 'ignore' },
    );
    const tls = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
    const secure = await startBroker({ ...options, folder, tls });
    expect(secure.url).toBe(`mqtts://127.0.0.1:${secure.port}`);
    const common = { url: secure.url, site: 'home', version: '0', log: silentLog };
    const triage = { ...common, agent: 'triage', username: 'triage', password: credentials.triage } as const;
    const trusting = connectBus({ ...triage, ca: tls.cert });
    await ready(trusting);
    const doubting = connectBus({ ...triage, clientIdSuffix: 'b' });
    await expect(doubting.ready(AbortSignal.timeout(500))).rejects.toThrow('Cannot wait for the bus any longer');
    await trusting.close();
    await doubting.close();
    await secure.close();
  });

  it('closes with clients connected, and keeps what they said', async () => {
    const first = await startBroker({ ...options, folder });
    const common = { site: 'home', version: '0', log: silentLog, agent: 'triage', username: 'triage' } as const;
    const bus = connectBus({ ...common, url: first.url, password: credentials.triage });
    await ready(bus);
    bus.publish(freeze, frozen('kept'));
    await bus.flush(AbortSignal.timeout(patience));
    await first.close();
    await bus.close();
    const second = await startBroker({ ...options, folder });
    const reader = connectBus({ ...common, url: second.url, password: credentials.triage });
    const got = new Collected<string>();
    reader.subscribe(freeze, ({ reason }) => got.add(reason));
    expect(await got.count(1)).toEqual(['kept']);
    await reader.close();
    await second.close();
  });
});
