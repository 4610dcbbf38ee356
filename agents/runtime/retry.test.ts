import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoff } from './retry.ts';

test('the wait doubles up to the maximum', () => {
  const waits = [1, 2, 3, 4, 5, 6].map((attempt) => backoff({ firstMs: 100, maximumMs: 1_000 }, attempt, () => 0));
  expect(waits).toEqual([100, 200, 400, 800, 1_000, 1_000]);
});

test('the wait lies between the jittered and the full value, after any number of tries', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
      const wait = backoff({ firstMs: 500, maximumMs: 60_000 }, attempt, () => random);
      expect(wait).toBeGreaterThanOrEqual(400);
      expect(wait).toBeLessThanOrEqual(60_000);
    }),
  );
});
