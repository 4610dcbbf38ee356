import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoff } from './retry.ts';

test('without jitter the wait doubles up to the maximum', () => {
  const waits = [1, 2, 3, 4, 5, 6].map((attempt) => backoff({ firstMs: 100, maximumMs: 1_000, jitter: 0 }, attempt));
  expect(waits).toEqual([100, 200, 400, 800, 1_000, 1_000]);
});

test('the wait lies between the jittered and the full value, after any number of tries', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
      const wait = backoff({ firstMs: 500, maximumMs: 60_000, factor: 3, jitter: 0.5 }, attempt, () => random);
      expect(wait).toBeGreaterThanOrEqual(250);
      expect(wait).toBeLessThanOrEqual(60_000);
    }),
  );
});
