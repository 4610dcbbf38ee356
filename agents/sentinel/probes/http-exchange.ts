import type { IncomingHttpHeaders } from 'undici/types/header.js';
import type { Agent, Dispatcher } from 'undici';
import { classifyNetworkError, type NetworkCause } from './network-error.ts';

/** What is read of an answer; the rest is left on the wire. */
export const maximumBodyBytes = 1_048_576;

export interface HttpPlan {
  url: URL;
  method: string;
  headers: Record<string, string>;
  body?: string;
  /** Whether anybody wants the text; without, the bytes are counted and dropped as they come. */
  keepBody: boolean;
}

export type ExchangeEnd =
  | { is: 'answered'; status: number; headers: IncomingHttpHeaders; body: string; bytes: number; cut: boolean }
  /** `status` when the answer had begun. */
  | { is: 'failed'; cause: NetworkCause | 'body'; text: string; status?: number };

type Phase = 'connecting' | 'waiting' | 'reading';

/** One request and its answer, by undici's dispatch interface: no stream objects, no collected bodies. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly done: Promise<ExchangeEnd>;
  readonly #keepBody: boolean;
  readonly #settle: (end: ExchangeEnd) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #phase: Phase = 'connecting';
  #isSettled = false;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(agent: Agent, plan: HttpPlan) {
    const { promise, resolve } = Promise.withResolvers<ExchangeEnd>();
    this.done = promise;
    this.#settle = resolve;
    this.#keepBody = plan.keepBody;
    agent.dispatch(
      {
        origin: plan.url.origin,
        path: `${plan.url.pathname}${plan.url.search}`,
        method: plan.method,
        headers: plan.headers,
        ...(plan.body !== undefined && { body: plan.body }),
      },
      this,
    );
  }

  /** What has not happened yet, for the words of a timeout. */
  get phase(): Phase {
    return this.#phase;
  }

  /** Ends it now; a connection that is still being made is given up when it comes. */
  stop(text: string): void {
    this.#end({ is: 'failed', cause: 'timeout', text, ...(this.#phase === 'reading' && { status: this.#status }) });
    this.#controller?.abort(new Error(text));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#isSettled) {
      controller.abort(new Error('given up'));
      return;
    }
    this.#controller = controller;
    this.#phase = 'waiting';
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // 1xx answers come before the real one.
    if (status < 200) return;
    this.#phase = 'reading';
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const room = maximumBodyBytes - this.#bytes;
    this.#bytes += chunk.length;
    if (this.#keepBody && room > 0) this.#chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
    if (this.#bytes <= maximumBodyBytes) return;
    this.#answered(true);
    controller.abort(new Error('read enough'));
  }

  onResponseEnd(): void {
    this.#answered(false);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#phase === 'reading') {
      const text = `the answer broke off after ${this.#bytes} bytes`;
      this.#end({ is: 'failed', cause: 'body', text, status: this.#status });
    } else this.#end({ is: 'failed', ...classifyNetworkError(error) });
  }

  #answered(cut: boolean): void {
    const body = this.#chunks.length === 0 ? '' : Buffer.concat(this.#chunks).toString('utf8');
    this.#end({ is: 'answered', status: this.#status, headers: this.#headers, body, bytes: this.#bytes, cut });
  }

  #end(end: ExchangeEnd): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#chunks = [];
    this.#settle(end);
  }
}
