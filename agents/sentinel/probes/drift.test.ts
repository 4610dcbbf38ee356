import { assert, dictionary, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type Drift, driftOf } from './drift.ts';

const hour = 3_600_000;

function watcher(quietAfterMs = 24 * hour) {
  const { memory } = checkContext();
  return (values: Record<string, string>, at = 0): Drift | undefined =>
    driftOf(memory, 'files', { values: new Map(Object.entries(values)), at, quietAfterMs, noteOf: () => 'seen' });
}

describe('drift', () => {
  test('the first look is the usual state', () => {
    expect(watcher()({ a: '1' })).toEqual({ isFirst: true, changes: [] });
  });

  test('what is new, other or gone is a change since its first look', () => {
    const look = watcher();
    look({ a: '1', b: '1' });
    look({ b: '2', c: '1' }, hour);
    expect(look({ b: '2', c: '1' }, 2 * hour)?.changes).toEqual([
      { name: 'a', was: '1', since: hour, note: 'seen' },
      { name: 'b', was: '1', is: '2', since: hour, note: 'seen' },
      { name: 'c', is: '1', since: hour, note: 'seen' },
    ]);
  });

  test('an undone change is over', () => {
    const look = watcher();
    look({ a: '1' });
    look({ a: '2' }, hour);
    expect(look({ a: '1' }, 2 * hour)?.changes).toEqual([]);
  });

  test('a change that stays becomes usual, and going back is a change again', () => {
    const look = watcher();
    look({ a: '1' });
    look({ a: '2' }, hour);
    expect(look({ a: '2' }, 25 * hour)?.changes).toEqual([]);
    expect(look({ a: '1' }, 26 * hour)?.changes).toMatchObject([{ name: 'a', was: '2', is: '1' }]);
  });

  test('a second change begins anew', () => {
    const look = watcher();
    look({ a: '1' });
    look({ a: '2' }, hour);
    expect(look({ a: '3' }, 24 * hour)?.changes).toMatchObject([{ is: '3', since: 24 * hour }]);
  });

  test('without an end it never becomes usual', () => {
    const look = watcher(0);
    look({});
    look({ a: '1' }, hour);
    expect(look({ a: '1' }, 9_000 * hour)?.changes).toHaveLength(1);
  });

  test('more than fits is not compared, and what was known stays', () => {
    const look = watcher();
    look({ a: '1' });
    const many = Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [`/a/long/path/${index}`, '1']));
    expect(look(many, hour)).toBeUndefined();
    expect(look({ a: '1' }, 2 * hour)).toEqual({ isFirst: false, changes: [] });
  });

  test('names such as __proto__ are names', () => {
    const look = watcher();
    look({ a: '1' });
    const odd = new Map([
      ['a', '1'],
      ['constructor', '1'],
    ]);
    expect(look(Object.fromEntries(odd), hour)?.changes.map(({ name }) => name)).toEqual(['constructor']);
  });

  test('changes are exactly the differences to the first look', () => {
    const state = dictionary(string({ maxLength: 5 }), string({ maxLength: 60 }), { maxKeys: 8 });
    assert(
      property(state, state, (before, after) => {
        const look = watcher(0);
        look(before);
        const names = new Set([...Object.keys(before), ...Object.keys(after)]);
        const different = [...names].filter((name) => before[name] !== after[name]);
        expect(new Set(look(after, hour)?.changes.map(({ name }) => name))).toEqual(new Set(different));
      }),
    );
  });
});
