import { createServer } from 'node:net';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as realTime } from 'node:timers/promises';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createVirtualClock } from './virtual-clock.ts';

test('timers run in the order in which they fall due, each at its own time', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 30 }), async (delays) => {
      const clock = createVirtualClock(1_000);
      const seen: [number, number][] = [];
      for (const [index, delay] of delays.entries())
        clock.after(delay, () => void seen.push([clock.now() - 1_000, index]));
      await clock.advance(10_000);
      const expected = delays.map((delay, index): [number, number] => [delay, index]);
      expect(seen).toEqual(expected.toSorted(([a, i], [b, j]) => a - b || i - j));
      expect(clock.pending()).toBe(0);
      expect(clock.now()).toBe(11_000);
    }),
    { numRuns: 20 },
  );
});

test('a timer that a timer sets runs in the same advance when it falls due in it', async () => {
  const clock = createVirtualClock(0);
  const seen: number[] = [];
  const again = (): void => {
    seen.push(clock.now());
    clock.after(60_000, again);
  };
  clock.after(60_000, again);
  await clock.advance(180_000);
  expect(seen).toEqual([60_000, 120_000, 180_000]);
  expect(clock.pending()).toBe(1);
});

test('a cancelled timer does not run', async () => {
  const clock = createVirtualClock(0);
  let ran = false;
  clock.after(5, () => void (ran = true))();
  await clock.advance(10);
  expect(ran).toBe(false);
});

test('an aborted sleep rejects with the reason and leaves no timer', async () => {
  const clock = createVirtualClock(0);
  const stop = new AbortController();
  const sleep = clock.sleep(1_000, stop.signal);
  stop.abort(new Error('enough'));
  await expect(sleep).rejects.toThrow('enough');
  expect(clock.pending()).toBe(0);
  await expect(clock.sleep(1, stop.signal)).rejects.toThrow('enough');
});

test('code that sleeps in a loop sees each of its steps', async () => {
  const clock = createVirtualClock(0);
  const seen: number[] = [];
  const loop = (async () => {
    for (let step = 0; step < 3; step += 1) {
      await clock.sleep(1_000);
      seen.push(clock.now());
    }
  })();
  await clock.advanceTo(3_000);
  await loop;
  expect(seen).toEqual([1_000, 2_000, 3_000]);
});

test('what a socket answers between two timers arrives before the second', async () => {
  const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const socket = connect(typeof address === 'object' && address ? address.port : 0, '127.0.0.1');
  await once(socket, 'connect');
  const clock = createVirtualClock(0);
  const seen: string[] = [];
  socket.on('data', () => seen.push('echo'));
  clock.after(10, () => void socket.write('x'));
  clock.after(20, () => void seen.push('second'));
  await clock.advance(20);
  expect(seen).toEqual(['echo', 'second']);
  socket.destroy();
  server.close();
});

test('two moves at once happen one after the other', async () => {
  const clock = createVirtualClock(0);
  await Promise.all([clock.advance(10), clock.advance(10)]);
  expect(clock.now()).toBe(20);
});

test('no time passes while real work is under way, which may take its time', async () => {
  let underWay = 0;
  const clock = createVirtualClock(0, { isBusy: () => underWay > 0 });
  const ended: number[] = [];
  clock.after(1_000, async () => {
    underWay += 1;
    await realTime(50);
    ended.push(clock.now());
    underWay -= 1;
  });
  await clock.advance(60_000);
  expect(ended).toEqual([1_000]);
});
