import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type BreakerEvent,
  type BreakerState,
  authMs,
  billingFirstMs,
  billingLongestMs,
  initialState,
  nextState,
  turnstile,
  transientFirstMs,
  transientLongestMs,
} from './breaker.ts';
import type { FailureClass } from './provider.ts';

const classes: FailureClass[] = ['transient', 'billing', 'auth', 'refused', 'too-long', 'ours', 'unparseable'];
const hourMs = 3_600_000;

function failed(failureClass: FailureClass, at: number, retryAfterMs?: number): BreakerEvent {
  return { type: 'failed', failureClass, retryAfterMs, startedAt: at, at, jitter: 0.5 };
}

/** A life of one provider: events in the order of time, as the router sends them. */
const life = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 0, max: 48 * hourMs }),
    event: fc.oneof(
      fc.constant('answered' as const),
      fc.constant('probing' as const),
      fc.constant('abandoned' as const),
      fc.constantFrom(...classes),
    ),
    ageMs: fc.integer({ min: 0, max: 60_000 }),
    retryAfterMs: fc.option(fc.integer({ min: 0, max: 10 * hourMs }), { nil: undefined }),
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  { maxLength: 40 },
);

type Step = { before: BreakerState; event: BreakerEvent; after: BreakerState };

function live(steps: typeof life extends fc.Arbitrary<infer L> ? L : never): Step[] {
  let now = 1_000_000;
  let state = initialState;
  return steps.map((step) => {
    now += step.afterMs;
    const startedAt = now - step.ageMs;
    const event: BreakerEvent =
      step.event === 'probing' || step.event === 'abandoned'
        ? { type: step.event, at: now }
        : step.event === 'answered'
          ? { type: 'answered', startedAt, at: now }
          : {
              type: 'failed',
              failureClass: step.event,
              retryAfterMs: step.retryAfterMs,
              startedAt,
              at: now,
              jitter: step.jitter,
            };
    const before = state;
    state = nextState(state, event);
    return { before, event, after: state };
  });
}

/** The steps of a life that break a rule. */
function offences(steps: Parameters<typeof live>[0], breaks: (step: Step) => boolean): Step[] {
  return live(steps).filter(breaks);
}

describe('a breaker, whatever happens to it,', () => {
  test('is never asked while it is open, and probed only after its time, one probe at once', () => {
    const expected = (state: BreakerState, now: number): string => {
      if (state.phase === 'closed') return 'ask';
      return state.phase === 'open' && now >= state.until ? 'probe' : 'skip';
    };
    fc.assert(
      fc.property(life, fc.integer({ min: 0, max: 48 * hourMs }), (steps, laterMs) => {
        const wrong = offences(steps, ({ event, after }) => {
          const now = event.at + laterMs;
          return turnstile(after, now) !== expected(after, now);
        });
        expect(wrong).toEqual([]);
      }),
    );
  });

  test('opens only for classes that cool, and from open closes only by an answer', () => {
    const cooling = new Set<unknown>(['transient', 'billing', 'auth']);
    fc.assert(
      fc.property(life, (steps) => {
        const wrong = offences(steps, ({ before, event, after }) => {
          if (before.phase === 'closed' && after.phase !== 'closed') {
            return event.type !== 'failed' || !cooling.has(after.reason);
          }
          return before.phase === 'open' && after.phase === 'closed' && event.type !== 'answered';
        });
        expect(wrong).toEqual([]);
      }),
    );
  });

  test('honours Retry-After, never early and at most a minute late', () => {
    fc.assert(
      fc.property(life, (steps) => {
        const wrong = offences(steps, ({ before, event, after }) => {
          if (event.type !== 'failed' || event.retryAfterMs === undefined || before.phase !== 'closed') return false;
          if (after.phase !== 'open' || after.reason === 'auth') return false;
          const late = after.until - event.at - event.retryAfterMs;
          return late < 0 || late > 60_000;
        });
        expect(wrong).toEqual([]);
      }),
    );
  });

  test('rests no longer than its class allows when nothing else was asked for', () => {
    const longest = Math.max(authMs, billingLongestMs, transientLongestMs * 1.2);
    fc.assert(
      fc.property(life, (steps) => {
        const unasked = steps.map((step) => ({ ...step, retryAfterMs: undefined }));
        const wrong = offences(
          unasked,
          ({ event, after }) => event.type === 'failed' && after.phase === 'open' && after.until - event.at > longest,
        );
        expect(wrong).toEqual([]);
      }),
    );
  });
});

test('a provider that was down is skipped, then probed, then asked again', () => {
  const down = nextState(initialState, failed('transient', 0));
  expect([1, down.until].map((now) => turnstile(down, now))).toEqual(['skip', 'probe']);
  const probing = nextState(down, { type: 'probing', at: down.until });
  expect(turnstile(probing, down.until)).toBe('skip');
  const back = nextState(probing, { type: 'answered', startedAt: down.until, at: down.until + 5 });
  expect(turnstile(back, down.until + 5)).toBe('ask');
});

describe('a cool-down', () => {
  function afterFailures(failureClass: FailureClass, count: number): number {
    let state = initialState;
    let at = 0;
    for (let turn = 0; turn < count; turn += 1) {
      if (turn > 0) {
        at = state.until;
        state = nextState(state, { type: 'probing', at });
      }
      state = nextState(state, failed(failureClass, at));
    }
    return state.until - at;
  }

  test('doubles from 30 s to 30 min for what passes by itself', () => {
    expect([1, 2, 3, 20].map((count) => afterFailures('transient', count))).toEqual([
      transientFirstMs,
      2 * transientFirstMs,
      4 * transientFirstMs,
      transientLongestMs,
    ]);
  });

  test('doubles from an hour to a day for an empty purse', () => {
    expect([1, 2, 5, 9].map((count) => afterFailures('billing', count))).toEqual([
      billingFirstMs,
      2 * billingFirstMs,
      16 * billingFirstMs,
      billingLongestMs,
    ]);
  });

  test('is a day for a refused key, every time', () => {
    expect([1, 2, 9].map((count) => afterFailures('auth', count))).toEqual([authMs, authMs, authMs]);
  });

  test('counts ten requests that were under way together as one failure', () => {
    let state = initialState;
    for (let turn = 0; turn < 10; turn += 1) {
      state = nextState(state, { ...failed('transient', 1_000 + turn), startedAt: 0 } as BreakerEvent);
    }
    expect(state.failures).toBe(1);
  });

  test('is not ended by an answer to a question from before it', () => {
    const down = nextState(initialState, failed('transient', 1_000));
    expect(nextState(down, { type: 'answered', startedAt: 500, at: 2_000 })).toBe(down);
  });
});

test.each(['refused', 'too-long', 'ours', 'unparseable'] as const)(
  'an answer that is %s cools nothing',
  (failureClass) => {
    expect(nextState(initialState, failed(failureClass, 5))).toBe(initialState);
  },
);

test('a rest that a clock began which was years ahead ends with that clock', () => {
  const year = 365 * 86_400_000;
  const failed = { type: 'failed', failureClass: 'auth', retryAfterMs: undefined, jitter: 0 } as const;
  const resting = nextState(initialState, { ...failed, startedAt: year, at: year });
  expect(turnstile(resting, year + 1)).toBe('skip');
  expect(turnstile(resting, 1_000)).toBe('probe');
  const probing = nextState(resting, { type: 'probing', at: 1_000 });
  expect(nextState(probing, { type: 'answered', startedAt: 1_000, at: 2_000 }).phase).toBe('closed');
});
