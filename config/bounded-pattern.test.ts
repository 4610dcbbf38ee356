import { expect, test } from 'vitest';
import { matchesEach, matchesInTime, matchesKnown } from './bounded-pattern.ts';

test('an expression says yes or no as ever', () => {
  expect(matchesInTime(/^active$/mu, 'x\nactive')).toBe(true);
  expect(matchesInTime(/^active$/u, 'inactive')).toBe(false);
});

test('an expression that a hostile text sends astray is given up on, and the next one works', () => {
  const start = performance.now();
  expect(matchesInTime(/^(a+)+$/u, `${'a'.repeat(60)}!`)).toBeUndefined();
  expect(performance.now() - start).toBeLessThan(10_000);
  expect(matchesInTime(/ok/u, 'it is ok')).toBe(true);
});

test('an expression wrapped whole is plain or not by what is inside', () => {
  expect(matchesInTime(/^(?:unit-failed)$/u, 'unit-failed')).toBe(true);
  expect(matchesInTime(/^(?:unit-failed)$/u, 'unit-failed-too')).toBe(false);
  expect(matchesInTime(/^(?:(a+)+)$/u, `${'a'.repeat(60)}!`)).toBeUndefined();
  expect(matchesInTime(/^(?:a|b)$/u, 'b')).toBe(true);
});

test('many texts share one time', () => {
  expect(matchesEach(/^a+$/u, ['aa', 'ab', 'a'])).toEqual([true, false, true]);
  expect(matchesEach(/^a+$/u, [])).toEqual([]);
  const start = performance.now();
  // Each of them alone takes some milliseconds and would be within the limit.
  const texts = Array.from({ length: 20_000 }, () => `${'a'.repeat(20)}!`);
  expect(matchesEach(/^(a+)+$/u, texts)).toBeUndefined();
  expect(performance.now() - start).toBeLessThan(10_000);
});

test('what takes too long hides no other text, and nothing takes longer than the time for all', () => {
  const hostile = `${'a'.repeat(60)}!`;
  expect(matchesKnown(/^(a+)+$/u, ['a', hostile, 'b', 'aa'], 10_000)).toEqual([true, undefined, false, true]);
  expect(matchesKnown(/^(a+)+$/u, [])).toEqual([]);
  expect(matchesKnown(/^a$/u, ['a', 'b'])).toEqual([true, false]);
  const start = performance.now();
  const many = matchesKnown(/^(a+)+$/u, ['a', ...Array.from({ length: 5_000 }, () => hostile), 'a'], 500);
  expect(performance.now() - start).toBeLessThan(10_000);
  expect([many.length, many[0], many.at(-1)]).toEqual([5_002, true, undefined]);
});
