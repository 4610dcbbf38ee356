import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { Duration, durationOr, formatDuration, parseDuration } from './duration.ts';

test.each([
  ['90s', 90_000],
  ['1h30m', 5_400_000],
  ['2d', 172_800_000],
  ['1w', 604_800_000],
  ['250ms', 250],
  ['0s', 0],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', '5', 'm', '5 m', '-5m', '1.5h', '5M', '5min', '1h 30m', '9'.repeat(30) + 'w', '\n5m'])(
  '%j is no duration',
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
  },
);

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms);
    }),
  );
});

test('a wrong one is told in words, whatever its type', () => {
  for (const wrong of [5, true, null, '5 minutes', {}]) {
    const parsed = Duration.safeParse(wrong);
    expect(parsed.success ? '' : z.prettifyError(parsed.error)).toContain(
      'must be a duration such as 30s, 5m, 2h or 1h30m',
    );
  }
});

test('a default is written as a duration too', () => {
  expect(durationOr('5m').parse(undefined)).toBe(300_000);
});
