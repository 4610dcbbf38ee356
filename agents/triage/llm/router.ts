import type { Clock } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import type { Metrics } from '#agents/runtime/metrics.ts';
import { Slots } from '#agents/runtime/slots.ts';
import { Failure } from '#bus/failure.ts';
import type { ProviderConfig } from '#config/schema.ts';
import { type AttemptContext, type Draft, type Inquiry, converse, request, shapeOf } from './attempt.ts';
import { describeState, turnstile } from './breaker.ts';
import type { Budget } from './budget.ts';
import { type Member, probeQuestion } from './member.ts';
import { type Answer, ProviderFailure } from './provider.ts';
import { Tally } from './tally.ts';

interface PassedOver {
  provider: string;
  reason: string;
}

export type Outcome<T> = { passedOver: PassedOver[]; costEuro: number } & (
  | { is: 'answered'; value: T; provider: ProviderConfig; draft: Draft<T> }
  | { is: 'unanswered'; reason: string }
);

interface RouterOptions {
  members: readonly Member[];
  budget: Budget;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  /** Told when the cap keeps a paid provider from answering; the listener says it once a month. */
  onCap: () => void;
  random?: () => number;
}

/** How long the question that starts a probe waits for it before it goes on elsewhere. */
const probeGraceMs = 5_000;

/** A storm of incidents must not become a storm of requests. */
const questionsAtOnce = 4;

interface Journey<T> {
  inquiry: Inquiry<T>;
  context: AttemptContext;
  passedOver: PassedOver[];
  costEuro: number;
  refusals: number;
  /** The largest window that was too small. */
  windowTooSmall: number;
}

/** What follows from one provider's turn. */
type Turn<T> =
  | { is: 'answered'; value: T; member: Member; draft: Draft<T> }
  | { is: 'next' }
  | { is: 'stop'; reason: string };

/** The only retry loop: asks the chain in order, and lets those that failed rest. */
export class Router {
  readonly #options: RouterOptions;
  readonly #random: () => number;
  readonly #tally: Tally;
  readonly #slots = new Slots(questionsAtOnce);
  readonly #ending = new AbortController();
  #underWay = 0;
  #closed: (() => void) | undefined;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#tally = new Tally(options.metrics);
  }

  /** Contract: a value for all that providers do; throws only the signal's reason, or a bug. */
  async ask<T>(inquiry: Inquiry<T>, signal: AbortSignal): Promise<Outcome<T>> {
    const journey = this.#begin(inquiry, signal);
    const give = await this.#slots.take(journey.context.signal);
    this.#underWay += 1;
    try {
      const turn = (await this.#walk(journey)) ?? (await this.#waitForProbes(journey));
      return this.#arrive(journey, turn);
    } finally {
      give();
      this.#leave(1);
    }
  }

  status(): { provider: string; state: string }[] {
    return this.#options.members.map((member) => ({ provider: member.name, state: describeState(member.state) }));
  }

  /** Ends what is under way, probes too. `then` is called once nothing is, at once when nothing was. */
  close(then: () => void): void {
    this.#ending.abort(new Failure('Cannot go on asking models: the router is closed', { recoverable: true }));
    this.#closed = then;
    this.#leave(0);
  }

  /** Counts those under way down; the last one out turns off the light. */
  #leave(count: number): void {
    this.#underWay -= count;
    if (this.#underWay > 0 || this.#closed === undefined) return;
    const closed = this.#closed;
    this.#closed = undefined;
    closed();
  }

  #begin<T>(inquiry: Inquiry<T>, signal: AbortSignal): Journey<T> {
    const journey: Journey<T> = {
      inquiry,
      passedOver: [],
      costEuro: 0,
      refusals: 0,
      windowTooSmall: 0,
      context: {
        clock: this.#options.clock,
        budget: this.#options.budget,
        signal: AbortSignal.any([signal, this.#ending.signal]),
        onSpent: (provider, costEuro) => {
          journey.costEuro += costEuro;
          this.#tally.spent(provider, costEuro);
        },
      },
    };
    return journey;
  }

  async #walk<T>(journey: Journey<T>): Promise<Turn<T> | undefined> {
    for (const member of this.#options.members) {
      if (!(await this.#isOpen(member, journey))) {
        this.#pass(journey, member, describeState(member.state));
        continue;
      }
      const turn = await this.#turn(member, journey);
      if (turn.is !== 'next') return turn;
    }
    return undefined;
  }

  /** Whether it may be asked now. One whose time is up gets its probe, and a moment to pass it. */
  async #isOpen<T>(member: Member, journey: Journey<T>): Promise<boolean> {
    const may = turnstile(member.state, this.#options.clock.now());
    if (may === 'ask') return true;
    if (may !== 'probe') return false;
    const grace = new AbortController();
    const waiting = AbortSignal.any([journey.context.signal, grace.signal]);
    const pause = this.#options.clock.sleep(probeGraceMs, waiting).catch(() => undefined);
    await Promise.race([this.#startProbe(member), pause]);
    grace.abort();
    journey.context.signal.throwIfAborted();
    return member.state.phase === 'closed';
  }

  /** Nobody answered: better late than never, when a provider is just being tried again. */
  async #waitForProbes<T>(journey: Journey<T>): Promise<Turn<T> | undefined> {
    const probed = this.#options.members.filter((member) => member.probe !== undefined);
    for (const member of probed) {
      await Promise.race([member.probe, aborted(journey.context.signal)]);
      journey.context.signal.throwIfAborted();
      if (member.state.phase !== 'closed') continue;
      const turn = await this.#turn(member, journey);
      if (turn.is !== 'next') return turn;
    }
    return undefined;
  }

  #startProbe(member: Member): Promise<void> {
    if (member.probe !== undefined) return member.probe;
    this.#underWay += 1;
    member.probe = this.#probe(member).finally(() => {
      member.probe = undefined;
      this.#leave(1);
    });
    return member.probe;
  }

  async #probe(member: Member): Promise<void> {
    const { clock, budget } = this.#options;
    const startedAt = clock.now();
    member.apply({ type: 'probing', at: startedAt });
    const context: AttemptContext = {
      clock,
      budget,
      signal: this.#ending.signal,
      onSpent: (provider, costEuro) => this.#tally.spent(provider, costEuro),
    };
    const answer = await request(member, probeQuestion, context).catch((error: unknown) => {
      if (this.#ending.signal.aborted) return undefined;
      throw error;
    });
    if (answer === undefined) member.apply({ type: 'abandoned', at: clock.now() });
    else this.#record(member, answer, startedAt);
  }

  async #turn<T>(member: Member, journey: Journey<T>): Promise<Turn<T>> {
    if (member.config.maxInputTokens <= journey.windowTooSmall) {
      this.#pass(journey, member, 'its context window is too small');
      return { is: 'next' };
    }
    const startedAt = this.#options.clock.now();
    const { exchange, draft, shortened } = await converse(member, journey.inquiry, journey.context);
    if (shortened) this.#tally.request(member.name, 'too-long');
    switch (exchange.end) {
      case 'capped':
        this.#options.onCap();
        this.#pass(journey, member, `the monthly cap of ${this.#options.budget.capEuro} euro is reached`);
        return { is: 'next' };
      case 'answered':
        this.#record(member, exchange.answer, startedAt);
        if (exchange.answer.note !== undefined) this.#pass(journey, member, exchange.answer.note);
        return { is: 'answered', value: exchange.value, member, draft };
      case 'failed':
        this.#record(member, exchange.failure, startedAt);
        return this.#afterFailure(member, journey, exchange.failure);
    }
  }

  #afterFailure<T>(member: Member, journey: Journey<T>, failure: ProviderFailure): Turn<T> {
    this.#pass(journey, member, failure.message);
    switch (failure.failureClass) {
      case 'transient':
      case 'billing':
      case 'auth':
        return { is: 'next' };
      case 'refused':
        journey.refusals += 1;
        return journey.refusals < 2 ? { is: 'next' } : { is: 'stop', reason: 'two models declined to answer' };
      case 'too-long':
        journey.windowTooSmall = Math.max(journey.windowTooSmall, member.config.maxInputTokens);
        return { is: 'next' };
      case 'unparseable':
        return { is: 'stop', reason: `the answer of "${member.name}" could not be read` };
      case 'ours':
        this.#logBug(member, journey, failure);
        return { is: 'stop', reason: `"${member.name}" calls the request malformed` };
    }
  }

  /** The shape of the request without its content: enough to find the bug, nothing to leak. */
  #logBug<T>(member: Member, journey: Journey<T>, failure: ProviderFailure): void {
    const request = { provider: member.name, status: failure.status, ...shapeOf(member, journey.inquiry) };
    this.#options.log.error({ request, reason: failure.message }, 'a model provider calls our request malformed');
  }

  #record(member: Member, result: Answer | ProviderFailure, startedAt: number): void {
    const at = this.#options.clock.now();
    if (!(result instanceof ProviderFailure)) {
      this.#tally.request(member.name, 'ok');
      member.apply({ type: 'answered', startedAt, at });
      return;
    }
    const { failureClass, retryAfterMs } = result;
    this.#tally.request(member.name, failureClass);
    this.#options.log.warn({ provider: member.name, failureClass, reason: result.message }, 'a model provider failed');
    const jitter = this.#random();
    member.apply({ type: 'failed', failureClass, retryAfterMs, startedAt, at, jitter }, result);
  }

  #arrive<T>(journey: Journey<T>, turn: Turn<T> | undefined): Outcome<T> {
    const { costEuro } = journey;
    if (turn?.is !== 'answered') {
      const reason = turn?.is === 'stop' ? turn.reason : 'no model provider could answer';
      return { is: 'unanswered', reason, passedOver: journey.passedOver, costEuro };
    }
    const { member, value, draft } = turn;
    const passedOver = this.#sayWhoPaid(journey, member);
    return { is: 'answered', value, provider: member.config, draft, passedOver, costEuro };
  }

  /** A paid answer because a free one failed is said in so many words. */
  #sayWhoPaid<T>(journey: Journey<T>, answered: Member): PassedOver[] {
    const { budget, members } = this.#options;
    if (budget.isFree(answered.config)) return journey.passedOver;
    return journey.passedOver.map((passed) => {
      const config = members.find((member) => member.name === passed.provider)?.config;
      if (config === undefined || !budget.isFree(config)) return passed;
      this.#tally.paidInstead(passed.provider, answered.name);
      return { ...passed, reason: `${passed.reason.slice(0, 140)}; the paid "${answered.name}" answered` };
    });
  }

  #pass<T>(journey: Journey<T>, member: Member, reason: string): void {
    journey.passedOver.push({ provider: member.name, reason: reason.slice(0, 200) });
    this.#tally.passedOver(member.name);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
