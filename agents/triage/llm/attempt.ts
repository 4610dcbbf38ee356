import type { Clock } from '#agents/runtime/clock.ts';
import { formatDuration } from '#config/duration.ts';
import type { ProviderConfig } from '#config/schema.ts';
import { type Budget, estimateTokens } from './budget.ts';
import type { Member } from './member.ts';
import { type Answer, ProviderFailure, type Question } from './provider.ts';
import { jsonObjectIn } from './structure.ts';

/** A question put together for one provider, and how its answer is read. */
export interface Draft<T> {
  question: Question;
  read(value: Record<string, unknown>): { ok: true; value: T } | { ok: false; fault: string };
}

/** Something to ask. `shortness` 0 is the whole question; each step more is shorter by rule. */
export interface Inquiry<T> {
  compose(provider: ProviderConfig, shortness: number): Draft<T>;
  longestShortness: number;
}

/** How one exchange with one provider ended. */
type Exchange<T> =
  | { end: 'answered'; value: T; answer: Answer }
  | { end: 'failed'; failure: ProviderFailure }
  /** The cap leaves no money for it. */
  | { end: 'capped' };

export interface AttemptContext {
  clock: Clock;
  budget: Budget;
  /** Ends everything: the caller's, and that of the process. */
  signal: AbortSignal;
  /** Called for each request with what it cost, also for those that failed. */
  onSpent(provider: string, costEuro: number): void;
}

/** Fits the question to the window, and shortens it once when the endpoint counts otherwise. */
export async function converse<T>(
  member: Member,
  inquiry: Inquiry<T>,
  context: AttemptContext,
): Promise<{ exchange: Exchange<T>; draft: Draft<T>; shortened: boolean }> {
  let shortness = 0;
  let draft = inquiry.compose(member.config, shortness);
  while (shortness < inquiry.longestShortness && !fits(member.config, draft)) {
    shortness += 1;
    draft = inquiry.compose(member.config, shortness);
  }
  const exchange = await attempt(member, draft, context);
  const isTooLong = exchange.end === 'failed' && exchange.failure.failureClass === 'too-long';
  if (!isTooLong || shortness >= inquiry.longestShortness) return { exchange, draft, shortened: false };
  draft = inquiry.compose(member.config, inquiry.longestShortness);
  return { exchange: await attempt(member, draft, context), draft, shortened: true };
}

function fits<T>(config: ProviderConfig, draft: Draft<T>): boolean {
  return estimateTokens(draft.question) + draft.question.maxOutputTokens <= config.maxInputTokens;
}

/** The shape of a request without its content: enough to find a bug, nothing to leak. */
export function shapeOf<T>(member: Member, inquiry: Inquiry<T>): object {
  const { question } = inquiry.compose(member.config, 0);
  return {
    kind: member.config.kind,
    model: member.config.model,
    systemLength: question.system.length,
    turns: question.turns.map((turn) => ({ role: turn.role, length: turn.text.length })),
    maxOutputTokens: question.maxOutputTokens,
  };
}

/**
 * Puts a question, and once more with the fault when the answer cannot be read. Contract: throws the signal's reason
 * when it aborts; each request costs at most the provider's own timeout.
 */
async function attempt<T>(member: Member, draft: Draft<T>, context: AttemptContext): Promise<Exchange<T>> {
  const first = await round(member, draft, context);
  if (first.end !== 'unreadable') return first;
  const question = repairing(draft.question, first);
  const second = await round(member, { ...draft, question }, context);
  if (second.end !== 'unreadable') return second;
  // Text that holds no JSON at all is a fault of the endpoint; JSON of the wrong shape is an opinion to be dropped.
  const failureClass = second.isJson ? 'unparseable' : 'transient';
  const failure = new ProviderFailure(
    `Cannot use what "${member.name}" answered twice: ${second.fault}`.slice(0, 200),
    {
      failureClass,
      fate: { is: 'rejected' },
    },
  );
  return { end: 'failed', failure };
}

type Round<T> = Exchange<T> | { end: 'unreadable'; text: string; fault: string; isJson: boolean };

async function round<T>(member: Member, draft: Draft<T>, context: AttemptContext): Promise<Round<T>> {
  const answer = await request(member, draft.question, context);
  if (answer === undefined) return { end: 'capped' };
  if (answer instanceof ProviderFailure) {
    return answer.failureClass === 'unparseable'
      ? { end: 'unreadable', text: '', fault: 'it was cut off: answer much shorter', isJson: false }
      : { end: 'failed', failure: answer };
  }
  const value = jsonObjectIn(answer.text);
  if (value === undefined) return { end: 'unreadable', text: answer.text, fault: 'no JSON object', isJson: false };
  const read = draft.read(value);
  return read.ok
    ? { end: 'answered', value: read.value, answer }
    : { end: 'unreadable', text: answer.text, fault: read.fault, isJson: true };
}

/** The model's own words go back to it, cut: a runaway answer must not fill the window. */
function repairing(question: Question, faulty: { text: string; fault: string }): Question {
  const fault = `Your answer could not be used: ${faulty.fault.slice(0, 800)}. Answer again with one JSON object of the required shape and nothing else.`;
  const last = question.turns.at(-1);
  if (faulty.text === '' && last?.role === 'user') {
    return { ...question, turns: [...question.turns.slice(0, -1), { role: 'user', text: `${last.text}\n\n${fault}` }] };
  }
  const turns = [
    ...question.turns,
    { role: 'assistant' as const, text: faulty.text.slice(0, 4_000) },
    { role: 'user' as const, text: fault },
  ];
  return { ...question, turns };
}

/** One request within the provider's time and the budget; undefined at the cap. The money is settled in any case. */
export async function request(
  member: Member,
  question: Question,
  context: AttemptContext,
): Promise<Answer | ProviderFailure | undefined> {
  const { budget, signal } = context;
  signal.throwIfAborted();
  const reservation = budget.reserve(member.config, question);
  if (reservation === undefined) return undefined;
  const pay = (fate: Parameters<typeof reservation.settle>[0]): void =>
    context.onSpent(member.name, reservation.settle(fate));
  try {
    const answer = await timed(member, question, context);
    const inputTokens = answer.inputTokens === 0 ? reservation.inputTokens : answer.inputTokens;
    pay({ is: 'answered', usage: { ...answer, inputTokens } });
    return answer;
  } catch (error) {
    if (!(error instanceof ProviderFailure)) {
      pay({ is: 'unknown' });
      throw error;
    }
    pay(error.fate);
    signal.throwIfAborted();
    return error;
  }
}

async function timed(member: Member, question: Question, { clock, signal }: AttemptContext): Promise<Answer> {
  const provider = await member.connect();
  const own = new AbortController();
  const cancel = clock.after(member.config.timeout, () => own.abort());
  const both = AbortSignal.any([signal, own.signal]);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(lateFailure(member));
  both.addEventListener('abort', abort, { once: true });
  try {
    // The race holds even if an SDK does not notice the signal.
    return await Promise.race([provider.ask(question, both), aborted]);
  } catch (error) {
    throw own.signal.aborted && error instanceof ProviderFailure ? lateFailure(member) : error;
  } finally {
    both.removeEventListener('abort', abort);
    cancel();
  }
}

function lateFailure(member: Member): ProviderFailure {
  return new ProviderFailure(
    `Cannot ask "${member.name}": it did not answer within ${formatDuration(member.config.timeout)}`,
    {
      failureClass: 'transient',
      fate: { is: 'unknown' },
    },
  );
}
