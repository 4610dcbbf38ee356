import { expect, it } from 'vitest';
import { createBackoff, createPace } from './pace.ts';

it('a pace lets a burst through and then so many a second', () => {
  let now = 0;
  const pace = createPace(10, () => now);
  const admitted = (): number => Array.from({ length: 100 }, () => pace.admits()).filter(Boolean).length;
  expect(admitted()).toBe(10);
  expect(admitted()).toBe(0);
  now += 500;
  expect(admitted()).toBe(5);
  now += 60_000;
  expect(admitted()).toBe(10);
});

it('a broker that is down is asked again after seconds at most', () => {
  const backoff = createBackoff(() => 1);
  const waits = Array.from({ length: 20 }, () => backoff.after({ upMs: 0 }));
  expect(waits[0]).toBeLessThanOrEqual(200);
  expect(Math.max(...waits)).toBe(5_000);
});

it('connections that die young come back ever more slowly, up to a minute', () => {
  const backoff = createBackoff(() => 0);
  const waits = Array.from({ length: 20 }, () => backoff.after({ upMs: 5 }));
  expect(waits.at(-1)).toBe(30_000);
  expect(waits.slice(0, 8)).toEqual(waits.slice(0, 8).toSorted((a, b) => a - b));
  expect(backoff.after({ upMs: 3_600_000 })).toBeLessThan(1_000);
});
