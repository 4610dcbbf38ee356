import { randomUUID } from 'node:crypto';
import type { Bus } from './bus.ts';
import { Failure, messageOf } from './failure.ts';
import type { BusLog } from './log.ts';
import type { AgentName } from './message.ts';
import { request, type Request } from './messages/request.ts';
import { response, type Response } from './messages/response.ts';
import { serves } from './verbs.ts';

type Data = Record<string, unknown>;
type Handler = (data: Data, from: AgentName) => Promise<Data>;

interface Waiting {
  verb: string;
  resolve: (data: Data) => void;
  reject: (error: Error) => void;
}

/** A question that lay in a session for longer is not answered: whoever asked has gone away. */
const staleMs = 120_000;
/** Transactions remembered so that a question that is delivered twice is answered once. */
const rememberedTransactions = 1_000;

/** Request and response over the bus's two kinds; the answer is found by its transaction. */
export class Questions {
  readonly #bus: Bus;
  readonly #log: BusLog;
  readonly #waiting = new Map<string, Waiting>();
  readonly #handlers = new Map<string, Handler>();
  readonly #seen = new Set<string>();
  #listens = false;

  constructor(bus: Bus, log: BusLog) {
    this.#bus = bus;
    this.#log = log;
  }

  async ask(verb: string, data: Data, signal: AbortSignal): Promise<Data> {
    this.#listen();
    const transaction = randomUUID();
    const abort = (): void => this.#waiting.get(transaction)?.reject(unanswered(verb, signal));
    try {
      await this.#bus.ready(signal);
      return await new Promise<Data>((resolve, reject) => {
        signal.addEventListener('abort', abort, { once: true });
        this.#waiting.set(transaction, { verb, resolve, reject });
        const expiresAt = new Date(Date.now() + staleMs).toISOString();
        this.#bus.publish(request, { verb, transaction, from: this.#bus.agent, data, expiresAt });
      });
    } catch (error) {
      throw signal.aborted && !(error instanceof Failure) ? unanswered(verb, signal) : error;
    } finally {
      signal.removeEventListener('abort', abort);
      this.#waiting.delete(transaction);
    }
  }

  serve(verb: string, handler: Handler): void {
    if (this.#handlers.has(verb)) throw new TypeError(`Cannot serve "${verb}" twice`);
    // The broker would refuse the answers.
    if (!serves(this.#bus.agent, verb))
      throw new TypeError(`Cannot serve "${verb}": verbs.ts gives it to another agent`);
    this.#handlers.set(verb, handler);
    // The answer may take long; the question is acknowledged at once, because nobody waits for it after a crash.
    if (this.#handlers.size === 1) this.#bus.subscribe(request, (question) => void this.#answer(question));
  }

  #listen(): void {
    if (this.#listens) return;
    this.#listens = true;
    this.#bus.subscribe(response, (answer) => this.#settle(answer));
  }

  #settle(answer: Response): void {
    const waiting = this.#waiting.get(answer.transaction);
    if (waiting === undefined || waiting.verb !== answer.verb) return;
    if (answer.status === 'ok') waiting.resolve(answer.data ?? {});
    else
      waiting.reject(new Failure(answer.error ?? `Cannot ${answer.verb}: no reason was given`, { recoverable: false }));
  }

  async #answer(question: Request): Promise<void> {
    const handler = this.#handlers.get(question.verb);
    if (handler === undefined || !this.#isNew(question)) return;
    const { verb, transaction } = question;
    try {
      const data = await handler(question.data, question.from);
      this.#bus.publish(response, { verb, transaction, status: 'ok', data });
    } catch (error) {
      if (!(error instanceof Failure)) this.#log.error({ verb, err: error }, 'A request handler failed');
      const text = error instanceof Failure ? messageOf(error) : `Cannot ${verb}: internal error`;
      this.#bus.publish(response, { verb, transaction, status: 'error', error: text.slice(0, 4_000) });
    }
  }

  #isNew({ transaction, expiresAt, verb }: Request): boolean {
    if (expiresAt !== undefined && Date.parse(expiresAt) < Date.now()) {
      this.#log.info({ verb, transaction }, 'A question came too late and is not answered');
      return false;
    }
    if (this.#seen.has(transaction)) return false;
    this.#seen.add(transaction);
    const [oldest] = this.#seen;
    if (this.#seen.size > rememberedTransactions && oldest !== undefined) this.#seen.delete(oldest);
    return true;
  }
}

function unanswered(verb: string, signal: AbortSignal): Failure {
  return new Failure(`Cannot ${verb}: no answer came in time`, { recoverable: true, cause: signal.reason });
}
