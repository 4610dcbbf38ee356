import type { FailureClass } from './provider.ts';

/**
 * What is known of one provider. `closed`: asked in its turn. `open`: not asked before `until`. `half-open`: one small
 * request is under way that decides; meanwhile nobody else asks it.
 */
export interface BreakerState {
  phase: 'closed' | 'open' | 'half-open';
  /** Why it is open. */
  reason: FailureClass | undefined;
  /** Epoch ms of the present phase's beginning; a request that began before it changes little. */
  since: number;
  /** Epoch ms when it may be tried again. */
  until: number;
  /** Cool-downs in a row without a good answer in between. */
  failures: number;
  /** The class that people were told of; told once until it answers again. */
  announced: FailureClass | undefined;
}

export type BreakerEvent =
  /** An answer, also a useless one: the endpoint lives and lets us in. */
  | { type: 'answered'; startedAt: number; at: number }
  /** `jitter` is 0 to 1, from the caller: this file knows no chance. */
  | {
      type: 'failed';
      failureClass: FailureClass;
      retryAfterMs: number | undefined;
      startedAt: number;
      at: number;
      jitter: number;
    }
  | { type: 'probing'; at: number }
  /** The probe was cut off by us: it says nothing. */
  | { type: 'abandoned'; at: number };

export const initialState: BreakerState = {
  phase: 'closed',
  reason: undefined,
  since: 0,
  until: 0,
  failures: 0,
  announced: undefined,
};

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
export const transientFirstMs = 30_000;
export const transientLongestMs = 30 * minuteMs;
export const billingFirstMs = hourMs;
export const billingLongestMs = dayMs;
export const authMs = dayMs;

/** What follows from an event. Pure. */
export function nextState(state: BreakerState, event: BreakerEvent): BreakerState {
  switch (event.type) {
    case 'answered':
      return isStale(state, event.startedAt) ? state : { ...initialState, since: event.at };
    case 'probing':
      return mayProbe(state, event.at) ? { ...state, phase: 'half-open', since: event.at } : state;
    case 'abandoned':
      return state.phase === 'half-open' ? { ...state, phase: 'open', since: event.at, until: event.at } : state;
    case 'failed':
      return afterFailure(state, event);
  }
}

/** The table of the design: which classes close the door, and whether others may still be let in. */
function afterFailure(state: BreakerState, event: Extract<BreakerEvent, { type: 'failed' }>): BreakerState {
  const cools = coolingClass(state, event.failureClass);
  if (cools === undefined) {
    return state.phase === 'half-open' ? { ...initialState, since: event.at } : state;
  }
  // N requests that were under way when it went down are one failure, not N.
  const isEcho = isStale(state, event.startedAt);
  const failures = isEcho ? state.failures : state.reason === cools ? state.failures + 1 : 1;
  const until = event.at + coolDownMs(cools, { ...event, failures });
  const announced = isLoud(cools) ? cools : state.announced;
  if (isEcho && state.phase === 'open') {
    const reason = isLoud(cools) ? cools : state.reason;
    return { ...state, reason, until: Math.max(state.until, until), announced };
  }
  if (isEcho) return state;
  return { phase: 'open', reason: cools, since: event.at, until, failures, announced };
}

function isStale(state: BreakerState, startedAt: number): boolean {
  return state.phase !== 'closed' && startedAt < state.since;
}

/** A probe that the endpoint calls malformed proves nothing: the way to real questions stays closed. */
function coolingClass(state: BreakerState, failureClass: FailureClass): FailureClass | undefined {
  switch (failureClass) {
    case 'transient':
    case 'billing':
    case 'auth':
      return failureClass;
    case 'ours':
      return state.phase === 'half-open' ? 'transient' : undefined;
    case 'refused':
    case 'too-long':
    case 'unparseable':
      return undefined;
  }
}

function coolDownMs(
  failureClass: FailureClass,
  event: { retryAfterMs: number | undefined; jitter: number; failures: number },
): number {
  const doublings = 2 ** Math.min(event.failures - 1, 20);
  if (failureClass === 'auth') return authMs;
  // A little late, never early: a crowd of clients must not return in the same second.
  if (event.retryAfterMs !== undefined) {
    return event.retryAfterMs + event.jitter * Math.min(event.retryAfterMs / 10, minuteMs);
  }
  if (failureClass === 'billing') return Math.min(billingFirstMs * doublings, billingLongestMs);
  return Math.min(transientFirstMs * doublings, transientLongestMs) * (0.8 + 0.4 * event.jitter);
}

/** Classes that a person has to mend. */
function isLoud(failureClass: FailureClass | undefined): boolean {
  return failureClass === 'billing' || failureClass === 'auth';
}

/** A phase that is still to begin was noted by a clock that was set back since: its end would be years away. */
function mayProbe(state: BreakerState, now: number): boolean {
  return state.phase === 'open' && (now >= state.until || now < state.since);
}

type Turnstile = 'ask' | 'probe' | 'skip';

/** What may be done with it now; asking the chain in its order is all there is of failback. */
export function turnstile(state: BreakerState, now: number): Turnstile {
  if (state.phase === 'closed') return 'ask';
  return mayProbe(state, now) ? 'probe' : 'skip';
}

/** One line for people. */
export function describeState(state: BreakerState): string {
  if (state.phase === 'closed') return 'ready';
  const why = state.reason ?? 'unknown';
  if (state.phase === 'half-open') return `being tried again (${why})`;
  const until = new Date(state.until).toISOString();
  return state.reason === 'auth'
    ? `off until the configuration changes (auth), tried again after ${until}`
    : `cooling down until ${until} (${why})`;
}
