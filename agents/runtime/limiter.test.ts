import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { Limiter } from './limiter.ts';
import { createVirtualClock } from '../../test/parts/virtual-clock.ts';

const never = new AbortController().signal;

test('no more than allowed run at once, in all and for each key, and everything runs', async () => {
  const work = fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), ms: fc.integer({ min: 0, max: 50 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(work, { maxLength: 40 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 6 }),
      async (pieces, perKey, total) => {
        const clock = createVirtualClock(0);
        const limiter = new Limiter({ perKey, total });
        const running = new Map<string, number>();
        const order: number[] = [];
        const runs = pieces.map(({ key, ms }, index) =>
          limiter.run(
            key,
            async () => {
              order.push(index);
              running.set(key, (running.get(key) ?? 0) + 1);
              expect(running.get(key)).toBeLessThanOrEqual(perKey);
              expect([...running.values()].reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(total);
              await clock.sleep(ms);
              running.set(key, (running.get(key) ?? 0) - 1);
              return index;
            },
            never,
          ),
        );
        await clock.advance(50 * 40);
        expect(await Promise.all(runs)).toEqual(pieces.map((_, index) => index));
        for (const key of ['a', 'b', 'c', 'd']) {
          const own = order.filter((index) => pieces[index]?.key === key);
          expect(own).toEqual(own.toSorted((a, b) => a - b));
        }
      },
    ),
    { numRuns: 30 },
  );
});

test('a key with much work does not hold up another', async () => {
  const clock = createVirtualClock(0);
  const limiter = new Limiter({ perKey: 4, total: 4 });
  const ends = new Map<string, number>();
  const start = (name: string, key: string): Promise<unknown> =>
    limiter.run(key, () => clock.sleep(1_000).then(() => ends.set(name, clock.now())), never);
  const runs = [...Array.from({ length: 40 }, (_, index) => start(`busy-${index}`, 'busy')), start('quick', 'quick')];
  await clock.advance(20_000);
  await Promise.all(runs);
  expect(ends.get('quick')).toBe(2_000);
});

test('work that waits gives up when its signal aborts, and its place goes to the next', async () => {
  const clock = createVirtualClock(0);
  const limiter = new Limiter({ perKey: 1, total: 1 });
  const stop = new AbortController();
  const first = limiter.run('a', () => clock.sleep(1_000), never);
  const second = limiter.run('a', () => Promise.resolve('second'), stop.signal);
  const third = limiter.run('a', () => Promise.resolve('third'), never);
  stop.abort(new Failure('enough', { recoverable: true }));
  await expect(second).rejects.toThrow('enough');
  await clock.advance(1_000);
  await first;
  expect(await third).toBe('third');
  await expect(limiter.run('a', () => Promise.resolve(), stop.signal)).rejects.toThrow('enough');
});

test('work that throws frees its place', async () => {
  const limiter = new Limiter({ perKey: 1, total: 1 });
  await expect(limiter.run('a', () => Promise.reject(new RangeError('oops')), never)).rejects.toThrow('oops');
  expect(await limiter.run('a', () => Promise.resolve(1), never)).toBe(1);
});

test('one piece more than may wait is refused', async () => {
  const clock = createVirtualClock(0);
  const limiter = new Limiter({ perKey: 1, total: 1, maximumWaiting: 1 });
  const runs = [1, 2].map(() => limiter.run('a', () => clock.sleep(10), never));
  await expect(limiter.run('b', () => Promise.resolve(), never)).rejects.toMatchObject({ recoverable: true });
  await clock.advance(20);
  await Promise.all(runs);
});
