import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Aedes } from 'aedes';
import { assert, property, string, uint8Array } from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { observeStats } from '#agents/sentinel/probes/mqtt-stats.ts';
import { readMessage } from '#agents/sentinel/probes/mqtt-watch.ts';
import { type Authority, createAuthority } from '../../../test/parts/certificates.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { type MosquittoDaemon, startMosquittoDaemon } from '../../../test/parts/mosquitto-daemon.ts';
import { until } from '../../../test/parts/until.ts';
import { told as toldOf } from '../../../test/parts/words.ts';
import { check } from './mqtt.ts';

kindContract(check, (port) => ({ url: `mqtt://127.0.0.1:${port}`, stats: true }));

const folder = mkdtempSync(join(tmpdir(), 'lares-mqtt-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let looking = new AbortController();
afterEach(stopLooking);

/** What comes next looks as after a start. */
function stopLooking(): void {
  looking.abort();
  looking = new AbortController();
}

function secret(name: string, text: string): { file: string } {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return { file };
}

const told = (found: readonly Observation[]): string[] =>
  toldOf(found, [
    [/127\.0\.0\.1:\d+/g, 'BROKER'],
    [/\b\d+ (ms|seconds?)\b/g, 'N $1'],
  ]);

describeWith(['mosquitto', 'mosquitto_pub', 'openssl'], 'a real Mosquitto', () => {
  let authority: Authority;
  let broker: MosquittoDaemon;
  let now: number;
  let context: CheckContext;
  beforeAll(async () => {
    authority = createAuthority();
    broker = await startMosquittoDaemon(authority.issue({ name: 'localhost' }));
  });
  afterAll(async () => {
    await broker[Symbol.asyncDispose]();
    authority[Symbol.dispose]();
  });
  beforeEach(() => {
    now = Date.now();
    const base = checkContext();
    context = { ...base, clock: { ...base.clock, now: () => now } };
  });

  async function look(more: object = {}): Promise<Observation[]> {
    const login = { url: broker.url, user: 'watcher', password: secret('password', broker.password) };
    const found = await check.observe(check.options.parse({ ...login, ...more }), {
      ...context,
      lasting: looking.signal,
    });
    expect(faultsOf(found)).toEqual([]);
    return found;
  }

  test('lets a user in, carries a message there and back, and tells of itself', async () => {
    const found = await look({ stats: true, roundTrip: 'lares/_probe/x' });
    expect(told(found)).toEqual([
      'ok broker-down: the broker BROKER takes connections',
      'ok broker-stalled: the broker has been up for N seconds',
      'ok broker-restarted: the broker has run on',
      'ok messages-dropped: the broker drops no messages',
      'ok sessions-pile-up: 0 sessions of clients that are away',
      'ok round-trip-failed: a message came back in N ms',
    ]);
    const options = check.options.parse({ url: broker.url });
    const [values] = await check.evidence.gather(options, context, found[0] as Observation);
    expect(values?.lines.join('\n')).toMatch(/^version: mosquitto version 2/m);
  });

  test('speaks TLS to whoever trusts it', async () => {
    const url = broker.tlsUrl.replace('127.0.0.1', 'localhost');
    expect(told(await look({ url, caFile: authority.caFile }))[0]).toMatch(/^ok broker-down/);
    expect(told(await look({ url }))[0]).toMatch(/^critical broker-down: .* takes no connection: TLS failed/);
  });

  test('that refuses the login or holds back $SYS leaves it unknown', async () => {
    expect(told(await look({ password: secret('wrong', 'wrong') }))).toEqual([
      expect.stringMatching(
        /^unknown broker-down: .*(the user may not connect|does not accept the user or the password)$/,
      ),
    ]);
    expect(
      told(await look({ user: 'blind', stats: true, roundTrip: 'lares/_probe/blind', roundTripLimit: '300ms' })).slice(
        1,
      ),
    ).toEqual([
      'unknown broker-stalled: cannot look at BROKER: it tells nothing below $SYS: its ACL needs "topic read $SYS/#" for this user',
      'critical round-trip-failed: a message did not come back within 300ms: the broker or its ACL holds it back',
    ]);
  });

  test('that was started again says so once', async () => {
    await look({ stats: true });
    now += 3_600_000;
    await broker.restart();
    expect(told(await look({ stats: true }))[2]).toMatch(
      /^info broker-restarted: the broker was started again \d+ s ago$/,
    );
    now += 1_000;
    expect(told(await look({ stats: true }))[2]).toBe('ok broker-restarted: the broker has run on');
  });

  const sensor = { filter: 'sensors/door', within: '10m', path: 'battery', below: { warning: 20 }, unit: '%' };
  const saysOf = (found: readonly Observation[]): string[] => told(found).slice(1);

  test('a topic is fresh from its messages and silent without them', async () => {
    const look1 = await look({ topics: [sensor] });
    expect(saysOf(look1)).toEqual([
      'unknown topic-silent: cannot look at sensors/door: nothing came yet, and it has been listened to for only 0s',
      'unknown topic-value: cannot look at sensors/door: no message came yet',
    ]);
    await broker.publish('sensors/door', '{"battery":15}');
    await until(async () => (await look({ topics: [sensor] }))[1]?.reading.is === 'level', 'the message');
    expect(saysOf(await look({ topics: [sensor] }))).toEqual([
      'level topic-silent: the last message on sensors/door came 0s ago',
      'level topic-value: battery of sensors/door is 15 %',
    ]);
    now += 700_000;
    const found = await look({ topics: [sensor] });
    expect(found[1]).toMatchObject({ holdMs: 0, reading: { value: 700, critical: { trigger: 600 } } });
  });

  test('after a restart of the listener an old age is not held against the topic', async () => {
    await look({ topics: [sensor] });
    await broker.publish('sensors/door', '{"battery":80}');
    await until(async () => (await look({ topics: [sensor] }))[1]?.reading.is === 'level', 'the message');
    stopLooking();
    now += 3_600_000;
    expect(saysOf(await look({ topics: [sensor] }))[0]).toMatch(/^unknown topic-silent: .*listened to for only 0s$/);
    now += 600_000;
    const found = await look({ topics: [sensor] });
    expect(found[1]?.reading).toMatchObject({ is: 'level', value: 4_200 });
  });

  test('the connection that listens ends with those who look', async () => {
    const aedes = await Aedes.createBroker();
    const server = createServer(aedes.handle).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const options = check.options.parse({ url: `mqtt://127.0.0.1:${port}`, topics: [sensor] });
    await check.observe(options, { ...context, lasting: looking.signal });
    await until(() => aedes.connectedClients === 1, 'the connection of the look to end');
    stopLooking();
    await expect.poll(() => aedes.connectedClients, { timeout: 15_000 }).toBe(0);
    await new Promise<void>((resolve) => aedes.close(resolve));
    server.close();
  });

  test('a broken connection listens again at the next look', async () => {
    await look({ topics: [sensor] });
    await broker.restart();
    await look({ topics: [sensor] });
    await broker.publish('sensors/door', '{"battery":50}');
    await until(async () => (await look({ topics: [sensor] }))[1]?.reading.is === 'level', 'the message');
    await broker.kill();
    expect(told(await look({ topics: [sensor] }))[0]).toMatch(/^critical broker-down: .*connection refused$/);
    await broker.restart();
  });

  test('a retained message counts by its own time only', async () => {
    const retained = { filter: 'sensors/retained', within: '10m', timePath: 'at' };
    const keep = async (payload: object): Promise<void> => {
      stopLooking();
      await broker.publish('sensors/retained', JSON.stringify(payload), { retain: true });
    };
    const said = async (): Promise<string | undefined> => saysOf(await look({ topics: [retained] }))[0];
    await keep({ x: 1 });
    expect(await said()).toMatch(/^unknown topic-silent/);
    await keep({ at: new Date(now - 60_000).toISOString() });
    // What the broker has in store may come later than the first look waits for it.
    const words = 'level topic-silent: the last message on sensors/retained came 1m ago';
    await expect.poll(said, { timeout: 10_000 }).toBe(words);
    await keep({ at: Math.round((now - 120_000) / 1_000) });
    await expect.poll(said, { timeout: 10_000 }).toMatch(/came 1m59s ago|came 2m ago/);
  });
});

describe('what a broker tells', () => {
  const at = (now: number, context: CheckContext): CheckContext => ({
    ...context,
    clock: { ...context.clock, now: () => now },
  });
  const of = { resource: 'b', intervalMs: 10_000 };

  test('drops that go on are a warning', () => {
    const context = checkContext();
    const look = (now: number, dropped: number): string[] =>
      told(
        observeStats(
          new Map([
            ['uptime', `${now} seconds`],
            ['publish/messages/dropped', String(dropped)],
          ]),
          of,
          at(now * 1_000, context),
        ),
      );
    expect(look(100, 7)[2]).toBe('ok messages-dropped: the broker drops no messages');
    expect(look(160, 37)[2]).toBe(
      'warning messages-dropped: the broker drops 0.50 messages a second: a client is too slow or away for too long',
    );
    expect(look(220, 37)[2]).toBe('ok messages-dropped: the broker drops no messages');
  });

  test('sessions that only grow for hours are a warning, those that come and go are none', () => {
    const run = (awayAt: (hour: number) => number): string | undefined => {
      const context = checkContext();
      let last: string | undefined;
      for (let hour = 0; hour < 10; hour += 1) {
        const values = new Map([
          ['uptime', `${hour * 3_600} seconds`],
          ['clients/disconnected', String(awayAt(hour))],
        ]);
        last = told(observeStats(values, of, at(hour * 3_600_000, context))).at(-1);
      }
      return last;
    };
    expect(run((hour) => 10 + hour * 5)).toBe(
      'warning sessions-pile-up: sessions of clients that are away grew from 10 to 55 in 10 hours',
    );
    expect(run((hour) => 10 + (hour % 3) * 5)).toMatch(/^ok/);
    expect(run(() => 500)).toMatch(/^ok/);
  });

  test('values that stand still for three intervals are a stalled broker', () => {
    const context = checkContext();
    const look = (now: number, uptime: string): string | undefined =>
      told(observeStats(new Map([['uptime', uptime]]), of, at(now, context)))[0];
    expect(look(0, '10 seconds')).toMatch(/^ok/);
    expect(look(30_000, '10 seconds')).toMatch(/^ok/);
    expect(look(31_000, '10 seconds')).toBe(
      "critical broker-stalled: the broker's own values have stood still for 31 s",
    );
    expect(look(32_000, '42 seconds')).toMatch(/^ok/);
  });

  test('an uptime that is no number is unknown', () => {
    expect(told(observeStats(new Map([['uptime', 'long']]), of, checkContext()))[0]).toMatch(/^unknown broker-stalled/);
  });
});

test('any payload is read without an error and stays bounded', () => {
  assert(
    property(uint8Array({ maxLength: 500 }), string({ maxLength: 20 }), (payload, path) => {
      const message = { topic: 't', payload: Buffer.from(payload), retained: false };
      const heard = readMessage(message, { filter: 't', path, timePath: path }, 1_000);
      expect(String(heard.value ?? '').length).toBeLessThanOrEqual(200);
      expect(heard.at ?? 0).toBeLessThanOrEqual(1_000);
    }),
  );
});

describe('the options', () => {
  test.each([
    { url: 'mqtt://u:p@b' },
    { url: 'http://b' },
    { roundTrip: 'a/#' },
    { roundTrip: '$SYS/x' },
    { topics: [{ filter: 'a/#/b', within: '1h' }] },
    { topics: [{ filter: '', within: '1h' }] },
    { topics: [{ filter: 'a', path: 'b' }] },
  ])('%j is refused', (more) => {
    expect(check.options.safeParse({ url: 'mqtt://b', ...more }).success).toBe(false);
  });

  test.each(['#', 'a/#', '+/b', 'a/+/c', '$SYS/brokers/+/uptime', '/a'])('%s is a filter', (filter) => {
    expect(check.options.safeParse({ url: 'mqtt://b', topics: [{ filter, within: '1h' }] }).success).toBe(true);
  });
});
