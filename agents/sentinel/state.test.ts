import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { calm, isFiring, type Look, next, quietAfter, type Rule, type TrackState } from './state.ts';

const minute = 60_000;
const held: Rule = { holdMs: 2 * minute, keepFiringMs: 0, clearAfter: 2, gapMs: 10 * minute };
const windowed: Rule = { ...held, window: { failures: 3, of: 5 } };
const bad: Look = { is: 'bad', severity: 'warning' };
const critical: Look = { is: 'bad', severity: 'critical' };
const good: Look = { is: 'good' };
const unknown: Look = { is: 'unknown' };

/** Looks at one-minute steps, `b` bad, `g` good, `u` unknown; the phases after each. */
function play(
  looks: string,
  rule: Rule,
  from: { state: TrackState; startMs: number } = { state: calm, startMs: 0 },
): { phases: string[]; state: TrackState } {
  let { state } = from;
  const phases = Array.from(looks, (mark, index) => {
    const look = mark === 'b' ? bad : mark === 'g' ? good : unknown;
    state = next(state, look, { now: from.startMs + index * minute, rule });
    return state.phase;
  });
  return { phases, state };
}

const anyLook = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Look>(good) },
  { weight: 4, arbitrary: fc.constant<Look>(bad) },
  { weight: 1, arbitrary: fc.constant<Look>(critical) },
  { weight: 2, arbitrary: fc.constant<Look>(unknown) },
);
const anyStep = fc.record({ look: anyLook, afterMs: fc.integer({ min: 1_000, max: 8 * minute }) });
const anyRule = fc.record({
  holdMs: fc.integer({ min: 1, max: 10 * minute }),
  keepFiringMs: fc.constantFrom(0, 5 * minute),
  clearAfter: fc.integer({ min: 1, max: 4 }),
  gapMs: fc.constant(30 * minute),
});
const maybeWindow = fc.option(fc.constant({ failures: 3, of: 5 }), { nil: undefined });

describe('the state machine', () => {
  test('a condition fires after it held, and resolves after enough good looks', () => {
    const { phases } = play('bbbgg', held);
    expect(phases).toEqual(['pending', 'pending', 'firing', 'recovering', 'ok']);
  });

  test('the window fires on three failures of five looks with good ones in between', () => {
    const { phases } = play('bgbgb', windowed);
    expect(phases).toEqual(['pending', 'pending', 'pending', 'pending', 'firing']);
  });

  test('a lone failure leaves the window without a trace', () => {
    expect(play('bggggg', windowed).state).toBe(calm);
  });

  test('an event fires at the first look', () => {
    expect(play('b', { ...held, holdMs: 0 }).phases).toEqual(['firing']);
  });

  test('startsAt is when the condition began to hold, not when it fired', () => {
    const { state } = play('gbbb', held);
    expect(isFiring(state) && [state.since, state.firedAt]).toEqual([minute, 3 * minute]);
  });

  test('what nobody saw did not hold: after a long gap the hold starts anew', () => {
    const first = next(calm, bad, { now: 0, rule: held });
    const late = next(first, bad, { now: 60 * minute, rule: held });
    expect(late).toMatchObject({ phase: 'pending', since: 60 * minute });
  });

  test('a clock that is set back by a day puts off neither an alert nor its end', () => {
    const day = 1_440 * minute;
    let state = next(calm, bad, { now: day, rule: held });
    for (const at of [1, 2, 3]) state = next(state, bad, { now: at * minute, rule: held });
    expect(state).toMatchObject({ phase: 'firing', since: minute, firedAt: 3 * minute });
    const slow = { ...held, keepFiringMs: 2 * minute };
    state = next(state, good, { now: day, rule: slow });
    for (const at of [5, 6, 7]) state = next(state, good, { now: at * minute, rule: slow });
    expect(state.phase).toBe('ok');
    // Turns that are still to come make nothing flap.
    expect(
      next({ phase: 'ok', past: { recent: '', transitions: [day, day], flaps: 0 } }, good, { now: 0, rule: held }),
    ).toBe(calm);
  });

  test('worse is believed at once, milder after as many looks as clear', () => {
    let { state } = play('bbb', held);
    const look = (is: Look, now: number): void => {
      state = next(state, is, { now: now * minute, rule: held });
    };
    look(critical, 3);
    expect(state).toMatchObject({ severity: 'critical' });
    look(bad, 4);
    expect(state).toMatchObject({ severity: 'critical' });
    look(bad, 5);
    expect(state).toMatchObject({ severity: 'warning', phase: 'firing' });
  });

  test('a third turn within half an hour flaps, and then well means quiet for longer and longer', () => {
    const { state } = play('bbbggbbb', held);
    expect(state).toMatchObject({ phase: 'firing', isFlapping: true });
    const goods = play('gggg', held, { state, startMs: 8 * minute });
    expect(goods.phases.at(-1)).toBe('recovering');
    const again = play('b', held, { state: goods.state, startMs: 12 * minute });
    expect(again.state).toMatchObject({ phase: 'firing', isFlapping: true, past: { flaps: 2 } });
    const quiet = play('g'.repeat(9), held, { state: again.state, startMs: 13 * minute });
    expect(quiet.phases.at(-2)).toBe('recovering');
    expect(quiet.phases.at(-1)).toBe('ok');
  });

  test('the demanded quiet grows by half each flap and stops at an hour', () => {
    expect(quietAfter(1)).toBe(5 * minute);
    expect(quietAfter(2)).toBe(7.5 * minute);
    expect(quietAfter(50)).toBe(60 * minute);
  });

  test('a proved recovery resolves at once, even a flapping one', () => {
    const { state } = play('bbbggbbb', held);
    expect(next(state, { is: 'confirmed' }, { now: 9 * minute, rule: held }).phase).toBe('ok');
  });

  test('an unchanged state is the same object, so that nothing is written', () => {
    const { state } = play('bbb', held);
    expect(next(state, bad, { now: 9 * minute, rule: held })).toBe(state);
    expect(next(calm, good, { now: 9 * minute, rule: windowed })).toBe(calm);
  });
});

/** The states through all steps, with the look and the time of each. */
function* walk(steps: readonly { look: Look; afterMs: number }[], rule: Rule) {
  let state = calm;
  let now = 0;
  for (const { look, afterMs } of steps) {
    now += afterMs;
    const before = state;
    state = next(state, look, { now, rule });
    yield { before, look, now, state };
  }
}

const anyWalk = fc
  .record({ steps: fc.array(anyStep, { maxLength: 60 }), rule: anyRule, window: maybeWindow })
  .map(({ steps, rule, window }) => ({ steps, rule: window === undefined ? rule : { ...rule, window } }));

describe('whatever is seen', () => {
  test('nothing fires before it held without a good look', () => {
    const property = fc.property(fc.array(anyStep, { maxLength: 60 }), anyRule, (steps, rule) => {
      let badSince: number | undefined;
      for (const { before, look, now, state } of walk(steps, rule)) {
        if (look.is === 'good') badSince = undefined;
        if (look.is === 'bad') badSince ??= now;
        const fired = !isFiring(before) && isFiring(state);
        if (fired && now - (badSince ?? now) < rule.holdMs) return false;
      }
      return true;
    });
    expect(fc.check(property).counterexample).toBeNull();
  });

  test('an unknown look changes nothing', () => {
    const property = fc.property(anyWalk, ({ steps, rule }) =>
      walk(steps, rule).every(({ before, look, state }) => look.is !== 'unknown' || state === before),
    );
    expect(fc.check(property).counterexample).toBeNull();
  });

  test('every firing ends when good looks go on for long enough, and then all is forgotten', () => {
    const goods = (count: number): { look: Look; afterMs: number }[] =>
      Array.from({ length: count }, () => ({ look: good, afterMs: minute }));
    const property = fc.property(anyWalk, ({ steps, rule }) => {
      const ended = [...walk([...steps, ...goods(65)], rule)].at(-1)?.state;
      const forgotten = [...walk([...steps, ...goods(100)], rule)].at(-1)?.state;
      return ended?.phase === 'ok' && forgotten === calm;
    });
    expect(fc.check(property).counterexample).toBeNull();
  });

  test('a restart from the stored state goes on as if there had been none', () => {
    const property = fc.property(anyWalk, ({ steps, rule }) => {
      let restarted = calm;
      return walk(steps, rule).every(({ look, now, state }) => {
        restarted = next(JSON.parse(JSON.stringify(restarted)) as TrackState, look, { now, rule });
        return isDeepStrictEqual(restarted, state);
      });
    });
    expect(fc.check(property).counterexample).toBeNull();
  });
});
