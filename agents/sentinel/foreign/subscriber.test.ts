import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Aedes } from 'aedes';
import mqtt from 'mqtt';
import { expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { ConfigSchema } from '#config/schema.ts';
import { systemClock } from '#agents/runtime/clock.ts';
import { createLog } from '#agents/runtime/log.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { PlainMosquitto } from '../../../test/parts/plain-mosquitto.ts';
import { SentinelStage } from '../../../test/parts/sentinel-stage.ts';
import { until } from '../../../test/parts/until.ts';
import { bindIntakes } from './bind.ts';
import { Complaints } from './complaints.ts';
import { startSubscriber } from './subscriber.ts';

/** One source at a broker, whose messages go to `receive`; resolves once it listens. */
async function subscribed(url: string, receive: (text: string) => unknown): Promise<AsyncDisposable> {
  const config = ConfigSchema.parse({
    intake: { house: { kind: 'mqtt', url, topics: ['#'], map: { title: 'what' } } },
  });
  const { sources } = await bindIntakes(config);
  const [source] = sources;
  if (source === undefined) throw new Error('the source was not bound');
  const log = createLog({ level: 'silent', name: 'test' });
  const listening = Promise.withResolvers<void>();
  const subscriber = startSubscriber(source, {
    config,
    log,
    clock: systemClock,
    complaints: new Complaints(log, systemClock),
    baseFolder: '.',
    secret: () => '',
    foreign: { say: () => undefined, unsay: () => listening.resolve() },
    receiver: {
      receive(_source, ...incoming) {
        for (const { bytes } of incoming) receive(bytes.toString());
        return { is: 'taken', text: '' };
      },
    },
  });
  await listening.promise;
  return { [Symbol.asyncDispose]: () => subscriber.stop() };
}

describeWith(['mosquitto'], 'a source at a broker', () => {
  test('that is away too long is unknown and counted so, and well again when it is back', async () => {
    await using broker = await PlainMosquitto.start();
    await broker.kill();
    await using stage = await SentinelStage.open();
    const map = { title: 'what', status: 'state' };
    await stage.start({ intake: { house: { kind: 'mqtt', url: broker.url, topics: ['alarm/#'], map } } });
    await stage.clock.advance(119_000);
    expect(stage.findings).toEqual([]);
    await stage.clock.advance(2_000);
    await until(() => stage.findings.length === 1, 'the finding');
    expect(stage.findings[0]).toMatchObject({
      condition: 'unknown',
      severity: 'warning',
      labels: { alertname: 'intake-unreachable', intake: 'house' },
    });
    await stage.clock.advance(100);
    await until(() => stage.manifests.at(-1)?.counts.unknown === 1, 'the count');
    await broker.resume();
    await until(() => stage.findings.at(-1)?.status === 'resolved', 'the broker to be heard', 20_000);

    for (const state of ['wet', 'wet', 'ok', 'wet'])
      await broker.publish('alarm/cellar', { what: 'leak', state }, true);
    const told = (): string[] =>
      stage.findings.filter(({ labels }) => labels['alertname'] === 'leak').map(({ status }) => status);
    await until(async () => {
      await stage.clock.advance(100);
      return told().at(-1) === 'firing';
    }, 'the last word');
    expect(new Set(stage.findings.map(({ fingerprint }) => fingerprint)).size).toBe(2);
  }, 60_000);

  test('is told that a message was taken once it is stored, and sends it again until it is', async () => {
    await using broker = await PlainMosquitto.start();
    const got: string[] = [];
    let isDiskFull = true;
    await using _ = await subscribed(broker.url, (text) => {
      got.push(text);
      if (isDiskFull) throw new Failure('Cannot write: the disk is full', { recoverable: true });
    });
    await broker.publish('alarm', { what: 'leak' });
    await until(() => got.length >= 2, 'the message again', 20_000);
    isDiskFull = false;
    const refused = got.length;
    await until(() => got.length > refused, 'the message once more', 20_000);
    await broker.publish('alarm', { what: 'smoke' });
    await until(() => got.at(-1)?.includes('smoke') === true, 'the next');
    expect(got.slice(refused)).toEqual(['{"what":"leak"}', '{"what":"smoke"}']);
  }, 60_000);

  test('goes on for ever: what was stored makes room at the broker for what waits there', async () => {
    await using broker = await PlainMosquitto.start();
    const got: string[] = [];
    await using _ = await subscribed(broker.url, (text) => got.push(text));
    const client = await mqtt.connectAsync(broker.url);
    const numbers = Array.from({ length: 450 }, (_one, index) => String(index));
    await Promise.all(numbers.map((text) => client.publishAsync('alarm', text, { qos: 1 })));
    await client.endAsync();
    await until(() => got.length >= numbers.length, 'all of them', 30_000);
    expect(got).toEqual(numbers);
  }, 60_000);

  test('is sent no message that is too large to be read, and goes on with the next', async () => {
    await using broker = await PlainMosquitto.start();
    await using stage = await SentinelStage.open();
    await stage.start({ intake: { house: { kind: 'mqtt', url: broker.url, topics: ['#'], map: { title: 'what' } } } });
    const before = process.memoryUsage.rss();
    await broker.publish('alarm/large', { what: 'large', filler: 'x'.repeat(40_000_000) }, true);
    await broker.publish('alarm/small', { what: 'small' }, true);
    await until(async () => {
      await stage.clock.advance(100);
      return stage.findings.length > 0;
    }, 'the small one');
    expect(stage.findings.map(({ labels }) => labels['alertname'])).toEqual(['small']);
    expect(process.memoryUsage.rss() - before).toBeLessThan(400_000_000);
  }, 60_000);

  test('is heard too where the broker speaks MQTT 3.1.1 only and refused it at first', async () => {
    const aedes = await Aedes.createBroker();
    let refusals = 1;
    aedes.authenticate = (...[, , , done]) => done(null, refusals-- <= 0);
    const server = createServer(aedes.handle).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await using stage = await SentinelStage.open();
    const house = { kind: 'mqtt', url: `mqtt://127.0.0.1:${port}`, topics: ['#'], map: { title: 'what' } };
    await stage.start({ intake: { house } });
    await until(() => refusals === 0, 'the refusal', 20_000);
    const client = await mqtt.connectAsync(house.url);
    await client.publishAsync('alarm', JSON.stringify({ what: 'leak' }), { retain: true });
    await until(
      async () => {
        await stage.clock.advance(100);
        return stage.findings.length > 0;
      },
      'the message',
      20_000,
    );
    expect(stage.findings[0]?.summary).toBe('leak');
    await client.endAsync();
    await stage.stop();
    await new Promise<void>((resolve) => aedes.close(resolve));
    server.close();
  }, 60_000);
});
