import { afterEach, expect, test } from 'vitest';
import { describeWith } from '../test/parts/daemon.ts';
import { PlainMosquitto } from '../test/parts/plain-mosquitto.ts';
import { until } from '../test/parts/until.ts';
import { type Link, openLink } from './link.ts';

const opened: AsyncDisposable[] = [];
const links: Link[] = [];
afterEach(async () => {
  await Promise.all(links.splice(0).map((link) => link.close()));
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]();
});

describeWith(['mosquitto'], 'a broker of somebody else', () => {
  test("what is far larger than any message is left at somebody else's broker, and the rest arrives", async () => {
    const broker = await PlainMosquitto.start();
    opened.push(broker);
    await broker.publish('home/huge', 'x'.repeat(8_000_000), true);
    await broker.publish('home/small', 'small', true);
    const topics: string[] = [];
    const ends: unknown[] = [];
    const isUp = Promise.withResolvers<void>();
    const link = openLink(
      {
        url: broker.url,
        clientId: 'lares-home-triage',
        protocol: 5,
        clean: true,
        will: { topic: 'home/will', payload: Buffer.from('x') },
      },
      {
        up: () => isUp.resolve(),
        arrive: (arrival) => {
          topics.push(arrival.topic);
          arrival.ack();
          return undefined;
        },
        ended: (end) => ends.push(end),
      },
    );
    links.push(link);
    await isUp.promise;
    expect(await link.subscribe('home/#')).toBe(true);
    await until(() => topics.includes('home/small'), 'the small message');
    await broker.publish('home/huge', 'x'.repeat(8_000_000));
    await broker.publish('home/last', 'last');
    await until(() => topics.includes('home/last'), 'the last message');
    expect([topics, ends]).toEqual([['home/small', 'home/last'], []]);
  });
});
