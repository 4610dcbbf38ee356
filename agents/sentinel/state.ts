import { compareSeverity, type Severity } from '#bus/fields.ts';

/** A problem that changes sides this often within the span flaps. */
const flapTransitions = 3;
const flapSpanMs = 30 * 60_000;
/** Netdata's `delay: down 5m multiplier 1.5 max 1h`: each flap makes the demanded quiet longer. */
const quietMs = 5 * 60_000;
const quietFactor = 1.5;
const maximumQuietMs = 60 * 60_000;

/** What one look says of one condition of one resource. */
export type Look =
  | { is: 'good' }
  | { is: 'bad'; severity: Severity }
  /** Nothing is known: it neither fires nor resolves anything. */
  | { is: 'unknown' }
  /** A repeated look after a run proved the recovery: resolves without further waiting. */
  | { is: 'confirmed' };

export interface Rule {
  /** Fires when bad for so long without a good look. Absent: only the window decides. */
  holdMs?: number;
  /** Fires after so many failures of the last so many looks. */
  window?: { failures: number; of: number };
  keepFiringMs: number;
  /** Good looks in a row that resolve. */
  clearAfter: number;
  /** A pending condition that was not looked at for longer starts its hold anew: what nobody saw did not hold. */
  gapMs: number;
}

/** What is remembered beyond a phase. */
interface Past {
  /** The last looks, oldest first, `x` bad and `.` good; empty when no bad one is among them or there is no window. */
  readonly recent: string;
  /** Times of firing and resolving within the flap span. */
  readonly transitions: readonly number[];
  /** Flaps so far; grows the quiet time. */
  readonly flaps: number;
}

interface Burning {
  past: Past;
  /** When the condition began to hold: the finding's `startsAt`. */
  since: number;
  firedAt: number;
  severity: Severity;
  /** Looks in a row that were less severe than `severity`. */
  milder: number;
  isFlapping: boolean;
}

/** One (check, condition, resource). JSON, immutable: an unchanged state is the same object. */
export type TrackState =
  | { phase: 'ok'; past: Past }
  | { phase: 'pending'; past: Past; since: number; heldSince: number | null; lastAt: number; severity: Severity }
  | ({ phase: 'firing' } & Burning)
  | ({ phase: 'recovering'; goodSince: number; goods: number } & Burning);

type Of<P extends TrackState['phase']> = Extract<TrackState, { phase: P }>;

/** The state of whatever never was bad; shared, so that a thousand healthy resources cost nothing. */
export const calm: TrackState = { phase: 'ok', past: { recent: '', transitions: [], flaps: 0 } };

export function isFiring(state: TrackState): state is Of<'firing' | 'recovering'> {
  return state.phase === 'firing' || state.phase === 'recovering';
}

/**
 * The whole life of a condition. Pure: the state after a look at `now` by `rule`. Contract: returns the same object
 * when nothing changed; never fires on an unknown look, never resolves on one.
 */
export function next(before: TrackState, look: Look, at: { now: number; rule: Rule }): TrackState {
  if (look.is === 'unknown') return before;
  const state = withoutFuture(before, at.now);
  switch (look.is) {
    case 'bad':
      return afterBad(state, look.severity, at);
    case 'good':
      return afterGood(state, at);
    case 'confirmed':
      return isFiring(state) ? resolved(state, at.now) : settled(withRecent(state.past, ''), at.now);
  }
}

interface At {
  now: number;
  rule: Rule;
}

/** A clock that was set back leaves times that are still to come: a day ahead, nothing would fire for a day. */
function withoutFuture(state: TrackState, now: number): TrackState {
  if (state.phase === 'pending' && Math.max(state.since, state.heldSince ?? 0, state.lastAt) > now) {
    const heldSince = state.heldSince === null ? null : Math.min(state.heldSince, now);
    return { ...state, since: Math.min(state.since, now), heldSince, lastAt: Math.min(state.lastAt, now) };
  }
  return state.phase === 'recovering' && state.goodSince > now ? { ...state, goodSince: now } : state;
}

function afterBad(state: TrackState, severity: Severity, at: At): TrackState {
  switch (state.phase) {
    case 'ok':
      return fireWhenDue(beginPending(state.past, severity, at), at);
    case 'pending':
      return fireWhenDue(goOnPending(state, severity, at), at);
    case 'firing':
      return withSeverity(state, severity, at.rule.clearAfter);
    case 'recovering': {
      const { goodSince: _goodSince, goods: _goods, ...burning } = state;
      const flaps = state.isFlapping ? state.past.flaps + 1 : state.past.flaps;
      const again: Of<'firing'> = { ...burning, phase: 'firing', past: { ...state.past, flaps } };
      return withSeverity(again, severity, at.rule.clearAfter);
    }
  }
}

function beginPending(past: Past, severity: Severity, at: At): Of<'pending'> {
  const kept = withRecent(prune(past, at.now), push(past.recent, 'x', at.rule));
  return { phase: 'pending', past: kept, since: at.now, heldSince: at.now, lastAt: at.now, severity };
}

function goOnPending(state: Of<'pending'>, severity: Severity, at: At): Of<'pending'> {
  if (at.now - state.lastAt > at.rule.gapMs) return beginPending(withRecent(state.past, ''), severity, at);
  const past = withRecent(state.past, push(state.past.recent, 'x', at.rule));
  return { ...state, past, heldSince: state.heldSince ?? at.now, lastAt: at.now, severity };
}

function fireWhenDue(state: Of<'pending'>, at: At): TrackState {
  const { holdMs, window } = at.rule;
  const isHeld = holdMs !== undefined && state.heldSince !== null && at.now - state.heldSince >= holdMs;
  const isOften = window !== undefined && failuresIn(state.past.recent) >= window.failures;
  if (!isHeld && !isOften) return state;
  const transitions = [...prune(state.past, at.now).transitions, at.now];
  const isFlapping = transitions.length >= flapTransitions || state.past.flaps > 0;
  return {
    phase: 'firing',
    past: {
      recent: '',
      transitions: transitions.slice(-flapTransitions),
      flaps: isFlapping ? state.past.flaps + 1 : 0,
    },
    since: state.since,
    firedAt: at.now,
    severity: state.severity,
    milder: 0,
    isFlapping,
  };
}

/** Worse is believed at once; milder only after `patience` looks, so that an alternating value is not news each time. */
function withSeverity(state: Of<'firing'>, severity: Severity, patience: number): Of<'firing'> {
  const order = compareSeverity(severity, state.severity);
  if (order > 0) return { ...state, severity, milder: 0 };
  if (order === 0) return state.milder === 0 ? state : { ...state, milder: 0 };
  return state.milder + 1 >= patience ? { ...state, severity, milder: 0 } : { ...state, milder: state.milder + 1 };
}

function afterGood(state: TrackState, at: At): TrackState {
  switch (state.phase) {
    case 'ok':
      return state === calm
        ? state
        : settled(withRecent(state.past, push(state.past.recent, '.', at.rule)), at.now, state);
    case 'pending': {
      const past = withRecent(state.past, push(state.past.recent, '.', at.rule));
      return past.recent === '' ? settled(past, at.now) : { ...state, past, heldSince: null, lastAt: at.now };
    }
    case 'firing':
      return resolveWhenDue({ ...state, phase: 'recovering', goodSince: at.now, goods: 1 }, at);
    case 'recovering': {
      const goods = Math.min(state.goods + 1, at.rule.clearAfter);
      return resolveWhenDue(goods === state.goods ? state : { ...state, goods }, at);
    }
  }
}

function resolveWhenDue(state: Of<'recovering'>, at: At): TrackState {
  const quiet = state.isFlapping ? quietAfter(state.past.flaps) : 0;
  const waitMs = Math.max(at.rule.keepFiringMs, quiet);
  return state.goods >= at.rule.clearAfter && at.now - state.goodSince >= waitMs ? resolved(state, at.now) : state;
}

function resolved(state: Of<'firing' | 'recovering'>, now: number): TrackState {
  const transitions = [...prune(state.past, now).transitions, now].slice(-flapTransitions);
  return { phase: 'ok', past: { recent: '', transitions, flaps: state.past.flaps } };
}

/** How long a flapping condition must be good before it counts as over. */
export function quietAfter(flaps: number): number {
  return Math.min(quietMs * quietFactor ** Math.max(0, flaps - 1), maximumQuietMs);
}

/** Healthy: `calm` once nothing of the past matters any more, `unchanged` when nothing of it moved. */
function settled(past: Past, now: number, unchanged?: Of<'ok'>): TrackState {
  const kept = prune(past, now);
  if (kept.recent === '' && kept.transitions.length === 0) return calm;
  return unchanged !== undefined && kept === unchanged.past ? unchanged : { phase: 'ok', past: kept };
}

function prune(past: Past, now: number): Past {
  if (past.transitions.length === 0) return past;
  const transitions = past.transitions.filter((at) => Math.abs(now - at) < flapSpanMs);
  if (transitions.length === past.transitions.length) return past;
  return { ...past, transitions, flaps: transitions.length === 0 ? 0 : past.flaps };
}

function withRecent(past: Past, recent: string): Past {
  return past.recent === recent ? past : { ...past, recent };
}

function push(recent: string, mark: 'x' | '.', rule: Rule): string {
  if (rule.window === undefined) return '';
  const looks = (recent + mark).slice(-rule.window.of);
  return looks.includes('x') ? looks : '';
}

function failuresIn(recent: string): number {
  let failures = 0;
  for (const mark of recent) if (mark === 'x') failures++;
  return failures;
}
