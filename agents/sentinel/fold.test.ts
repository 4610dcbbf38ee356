import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ConfigSchema } from '#config/schema.ts';
import { type CheckDefinition, defineCheck, noEvidence, type Observation } from './check.ts';
import { fold, foldStale } from './fold.ts';
import { countAll } from './picture.ts';
import { bindChecks } from './registry.ts';
import type { Watch } from './tracks.ts';

const minute = 60_000;
const fleet: CheckDefinition = defineCheck({
  kind: 'fleet',
  about: 'Many resources.',
  options: z.object({}),
  reach: 'network',
  evidence: noEvidence,
  resourceOf: () => 'all',
  observe: () => Promise.resolve([]),
});

function watchOf(more: Record<string, unknown> = {}): Watch {
  const config = ConfigSchema.parse({ checks: [{ id: 'fleet', kind: 'fleet', for: '0s', clearAfter: 1, ...more }] });
  const [check] = bindChecks(config, new Map([['fleet', fleet]])).checks;
  if (check === undefined) throw new TypeError('The test has no check');
  return { check, tracks: new Map() };
}

function seen(resource: string, ok: boolean, condition = 'unit-failed'): Observation {
  return { condition, resource, reading: { is: 'state', ok, severity: 'warning' }, summary: `${resource} ${ok}` };
}

function unseen(resource: string, condition = 'unit-failed'): Observation {
  return { condition, resource, reading: { is: 'unknown', reason: 'no route' }, summary: 'no route' };
}

function look(watch: Watch, at: number, observations: Observation[]): string[] {
  fold(watch, { at: at * minute, tookMs: 1, observations });
  return [...watch.tracks.values()]
    .map((track) => `${track.condition} ${track.resource} ${track.state.phase}`)
    .toSorted();
}

describe('a look', () => {
  test('that no longer shows a resource ends its condition', () => {
    const watch = watchOf();
    expect(look(watch, 0, [seen('a', false), seen('b', false)])).toEqual([
      'unit-failed a firing',
      'unit-failed b firing',
    ]);
    expect(look(watch, 1, [seen('b', false)])).toEqual(['unit-failed a ok', 'unit-failed b firing']);
  });

  test('that saw nothing ends nothing, and is a condition of its own', () => {
    const watch = watchOf();
    look(watch, 0, [seen('a', false)]);
    expect(look(watch, 1, [unseen('all', 'check-unknown')])).toEqual([
      'check-unknown all pending',
      'unit-failed a firing',
    ]);
    expect(look(watch, 7, [unseen('all', 'check-unknown')])[0]).toBe('check-unknown all firing');
    expect(look(watch, 8, [seen('a', false)])).toEqual(['check-unknown all ok', 'unit-failed a firing']);
  });

  test('that could not list one condition ends no other resource of that condition', () => {
    const watch = watchOf();
    look(watch, 0, [seen('a', false), seen('/', false, 'filesystem-full')]);
    const after = look(watch, 1, [unseen('b'), seen('/home', true, 'filesystem-full')]);
    expect(after).toContain('unit-failed a firing');
    expect(after).toContain('filesystem-full / ok');
  });

  test('of which only the list of one condition is told, and that is unknown, ends nothing', () => {
    const watch = watchOf();
    look(watch, 0, [seen('a', false), seen('/', false, 'filesystem-full')]);
    expect(look(watch, 1, [unseen('units')])).toContain('filesystem-full / firing');
  });

  test.each([
    ['is down', { ...seen('hub', false, 'hub-down'), hidesRest: true }],
    ['refuses the login', { ...unseen('systems', 'system-down'), hidesRest: true }],
  ])('at a product that %s ends nothing that was found in it', (_how, gone) => {
    const watch = watchOf();
    look(watch, 0, [seen('hub', true, 'hub-down'), seen('a', false, 'system-down'), seen('b', false, 'disk-full')]);
    const others = [seen('c', true, 'disk-hot')];
    const after = look(watch, 1, [gone, ...others]);
    expect(after).toContain('system-down a firing');
    expect(after).toContain('disk-full b firing');
    const back = look(watch, 2, [{ ...seen('hub', true, 'hub-down'), hidesRest: true }, ...others]);
    expect(back).toContain('disk-full b ok');
  });

  test('whose resource is sick is not blind as well', () => {
    const watch = watchOf();
    const after = look(watch, 0, [seen('web', false, 'http-down'), unseen('web', 'certificate-expiring')]);
    expect(after).toEqual(['http-down web firing']);
  });

  test('that names a resource twice counts the worse', () => {
    const watch = watchOf();
    expect(look(watch, 0, [seen('a', true), seen('a', false), seen('a', true)])).toEqual(['unit-failed a firing']);
  });

  test('that names a resource twice says the same in whatever order', () => {
    const full = (value: number): Observation => {
      const reading = { is: 'level' as const, value, unit: '%', bad: 'above' as const };
      const warning = { trigger: 80, clear: 70 };
      return { condition: 'full', resource: '/', reading: { ...reading, warning }, summary: `${value} %` };
    };
    const pairs = [
      [seen('a', true), unseen('a')],
      [full(75), full(10)],
      [full(90), full(95)],
      [
        { ...seen('a', false), summary: 'one' },
        { ...seen('a', false), summary: 'two' },
      ],
    ];
    for (const pair of pairs) {
      const told = [pair, pair.toReversed()].map((both) => {
        const watch = watchOf();
        const before = [seen('a', true), full(85)];
        look(watch, 0, before);
        const after = look(watch, 1, [...both, seen('b', true)]);
        return [after, [...watch.tracks.values()].map(({ last, unseen: reason }) => [last?.summary, reason])];
      });
      expect(told[0]).toEqual(told[1]);
    }
  });

  test('that could look at one of two of one name does not call it well', () => {
    const watch = watchOf();
    look(watch, 0, [seen('a', true)]);
    look(watch, 1, [seen('a', true), unseen('a'), seen('b', true)]);
    expect([...watch.tracks.values()].find(({ resource }) => resource === 'a')?.unseen).toBe('no route');
  });

  test('with more than a check may report loses nothing that is sick, and says so', () => {
    const watch = watchOf();
    const crowd = Array.from({ length: 6_000 }, (_, index) => seen(`r${index}`, true));
    const sick = seen('z', false);
    look(watch, 0, [sick]);
    const after = look(watch, 1, [...crowd, seen('last', false), sick]);
    expect(after).toContain('unit-failed z firing');
    expect(after).toContain('unit-failed last firing');
    expect(after).toContain('check-unknown all pending');
    const track = [...watch.tracks.values()].find(({ sort }) => sort === 'unknown');
    expect(track?.unseen).toBe('it reports 1002 more things than are looked at');
  });

  test('that cannot read a number saw nothing', () => {
    const watch = watchOf();
    const reading = { is: 'level' as const, value: Number.NaN, unit: '%', bad: 'above' as const };
    look(watch, 0, [{ condition: 'full', resource: '/', reading, summary: 'odd' }]);
    expect(countAll(new Map([['fleet', watch]]), 1)).toMatchObject({
      counts: { ok: 0, unknown: 1 },
      unseen: [{ reason: 'the value is not a number', count: 1 }],
    });
  });
});

test('nothing counts as well that was not looked at for long', () => {
  const watch = watchOf();
  look(watch, 0, [seen('a', true)]);
  const watches = new Map([['fleet', watch]]);
  expect(countAll(watches, 1).counts).toMatchObject({ ok: 1, stale: 0 });
  const [change] = foldStale(watch, true, 10 * minute);
  expect(change?.track).toMatchObject({ condition: 'check-stale', state: { phase: 'firing' } });
  expect(countAll(watches, 1).counts).toMatchObject({ ok: 0, stale: 1 });
  expect(foldStale(watch, true, 11 * minute)[0]?.track.state).toBe(change?.track.state);
  foldStale(watch, false, 12 * minute);
  expect(countAll(watches, 1).counts).toMatchObject({ ok: 1, stale: 0 });
});
