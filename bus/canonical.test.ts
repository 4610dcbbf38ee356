import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { canonical, digestOf } from './canonical.ts';

/** The same value with every object's members in another order. */
function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, member]) => [key, shuffled(member)]),
  );
}

it('equal values give equal text, whatever the order of their members', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(canonical(shuffled(value))).toBe(canonical(value));
      expect(digestOf(shuffled(value))).toBe(digestOf(value));
    }),
  );
});

it('the text is JSON of the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.stringify(JSON.parse(canonical(value)))).toBe(JSON.stringify(JSON.parse(canonical(shuffled(value)))));
      expect(canonical(JSON.parse(canonical(value)))).toBe(canonical(value));
    }),
  );
});

it('different values give different text', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const same = JSON.stringify(shuffledSorted(a)) === JSON.stringify(shuffledSorted(b));
      expect(canonical(a) === canonical(b)).toBe(same);
    }),
  );
});

it('leaves out what is undefined and sorts by code unit', () => {
  expect(canonical({ b: 1, a: undefined, B: 2, '\u{1f480}': 3, '\uffff': 4 })).toBe(
    '{"B":2,"b":1,"\u{1f480}":3,"\uffff":4}',
  );
  expect(canonical([undefined, null])).toBe('[null,null]');
});

it('a digest is that of the text', () => {
  expect(digestOf({ a: 1 })).toBe('015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862');
});

function shuffledSorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffledSorted);
  if (value === null || typeof value !== 'object') return value;
  const keys = Object.keys(value).toSorted();
  return keys.map((key) => [key, shuffledSorted(Reflect.get(value, key))]).concat([['object']]);
}
