import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonObjectIn, withoutThoughts } from './structure.ts';

describe('what a model thinks aloud', () => {
  test.each([
    ['<think>a</think>b', 'b'],
    ['b<THINK>a</think>c', 'bc'],
    ['a</thinking>b', 'b'],
    ['b<think>a', 'b'],
    ['<think>a<reasoning>b</think>c', 'c'],
    ['<think>a', ''],
    ['x</reasoning>b<think>a</think>c<thinking>d', 'bc'],
  ])('%s is no part of the answer', (text, answer) => {
    expect(withoutThoughts(text)).toBe(answer);
  });

  test('is left out as looking from each beginning for its end would', () => {
    const names = ['think', 'thinking', 'Think', 'reasoning'];
    const pieces = fc.constantFrom('a', ' b', '<', '/', '>', ...names.flatMap((name) => [`<${name}>`, `</${name}>`]));
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 14 }), (parts) => {
        const text = parts.join('');
        const closed = text.replaceAll(/<(think|thinking|reasoning)>[\s\S]*?<\/\1>/gi, '');
        const last = closed.split(/<\/(?:think|thinking|reasoning)>/i).at(-1) ?? '';
        expect(withoutThoughts(text)).toBe((last.split(/<(?:think|thinking|reasoning)>/i)[0] ?? '').trim());
      }),
      { numRuns: 2_000 },
    );
  });
});

test('two megabytes of beginnings cost no more than their length', () => {
  const start = performance.now();
  withoutThoughts('<think>'.repeat(285_000));
  withoutThoughts('<think></thinking>'.repeat(110_000));
  expect(jsonObjectIn('{'.repeat(2_000_000))).toBeUndefined();
  expect(performance.now() - start).toBeLessThan(20_000);
});
