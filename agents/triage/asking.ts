import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import type { Desk } from './desk.ts';
import { within } from './within.ts';

interface Question {
  verb: string;
  data: Record<string, unknown>;
  /** How long the answer may take. */
  ms: number;
  /** What is said when it took longer. */
  late: string;
}

export type Reply = { ok: true; data: Record<string, unknown> } | { ok: false; failure: Failure };

interface AskingOptions {
  bus: Pick<Bus, 'request'>;
  desk: Pick<Desk, 'transact'>;
  clock: Clock;
  log: Log;
}

/** Questions to the other agents, asked in the background. */
export class Asking {
  readonly #options: AskingOptions;
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(options: AskingOptions) {
    this.#options = options;
  }

  /**
   * Calls `take` with what came of the question, inside a transaction. Contract: once, or not at all when triage stops
   * first; a disk that does not take what follows from it is logged and the reply is lost.
   */
  ask(question: Question, take: (reply: Reply) => void): void {
    if (this.#stopping.signal.aborted) return;
    const asked = this.#follow(question, take).finally(() => this.#running.delete(asked));
    this.#running.add(asked);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Failure('Cannot go on asking: triage stops', { recoverable: true }));
    await Promise.all(this.#running);
  }

  async #follow(question: Question, take: (reply: Reply) => void): Promise<void> {
    const { desk, log } = this.#options;
    const reply = await this.#reply(question);
    if (this.#stopping.signal.aborted) return;
    try {
      desk.transact(() => take(reply));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.error({ verb: question.verb, reason: error.message }, 'an answer was not kept');
    }
  }

  async #reply({ verb, data, ms, late }: Question): Promise<Reply> {
    const { bus, clock } = this.#options;
    const limit = { clock, ms, late, signal: this.#stopping.signal };
    try {
      return { ok: true, data: await within(limit, (signal) => bus.request(verb, data, signal)) };
    } catch (error) {
      if (error instanceof Failure) return { ok: false, failure: error };
      throw error;
    }
  }
}
