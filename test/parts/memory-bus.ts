import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { Bus, Delivery, Listener } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import { type AgentName, type MessageKind, decode, encode } from '#bus/message.ts';

type Handler = (payload: never, delivery: Delivery) => void | Promise<void>;
type Verb = (data: Record<string, unknown>, from: AgentName) => Promise<Record<string, unknown>>;

/** A bus in memory for stories under a virtual clock: encodes and decodes as the real one, keeps what is retained. */
export class MemoryBus implements Bus {
  readonly agent: AgentName;
  readonly site = 'test';
  connected = true;
  /** Everything that was published, in order. */
  readonly sent: { kind: string; id: string; payload: unknown }[] = [];
  readonly retained = new Map<string, unknown>();
  readonly #handlers = new Map<string, Handler[]>();
  readonly #verbs = new Map<string, Verb>();
  readonly #connectListeners: (() => void)[] = [];
  /** Answers what the agent under test asks. */
  answer: (verb: string, data: Record<string, unknown>) => Promise<Record<string, unknown>> = async (verb) => {
    throw new Failure(`Nobody serves "${verb}"`, { recoverable: true });
  };

  constructor(agent: AgentName) {
    this.agent = agent;
  }

  publish<P extends z.ZodObject>(kind: MessageKind<P>, payload: z.input<P>): void {
    const bytes = encode(kind, payload);
    if (!this.connected) return;
    const decoded = decode(kind, bytes);
    if (!decoded.ok) throw new Error(decoded.reason);
    const id = kind.identify(decoded.payload);
    this.sent.push({ kind: kind.name, id, payload: decoded.payload });
    if (kind.retained) this.retained.set(`${kind.name}/${id}`, decoded.payload);
  }

  clear(kind: MessageKind, id: string): void {
    if (this.connected) this.retained.delete(`${kind.name}/${id}`);
  }

  subscribe<P extends z.ZodObject>(kind: MessageKind<P>, listener: Listener<MessageKind<P>>): void {
    const list = this.#handlers.get(kind.name) ?? [];
    list.push(listener);
    this.#handlers.set(kind.name, list);
  }

  onClear(): void {
    // Nothing under test listens to removals here.
  }

  onConnect(listener: () => void): void {
    this.#connectListeners.push(listener);
    if (this.connected) queueMicrotask(listener);
  }

  async request(verb: string, data: Record<string, unknown>, signal: AbortSignal): Promise<Record<string, unknown>> {
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => {
      reject(new Failure(`Cannot ${verb}: no answer came in time`, { recoverable: true, cause: signal.reason }));
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    return Promise.race([promise, this.answer(verb, data)]);
  }

  serve(verb: string, handler: Verb): void {
    this.#verbs.set(verb, handler);
  }

  async ready(): Promise<void> {
    // Connected from the start.
  }

  async flush(): Promise<void> {
    // Everything is delivered when it is published.
  }

  async close(): Promise<void> {
    this.connected = false;
  }

  /** A message from somebody else. */
  async hear<P extends z.ZodObject>(kind: MessageKind<P>, payload: z.input<P>): Promise<void> {
    const decoded = decode(kind, encode(kind, payload));
    if (!decoded.ok) throw new Error(decoded.reason);
    const delivery = { id: kind.identify(decoded.payload), retained: false };
    for (const handler of this.#handlers.get(kind.name) ?? []) await handler(decoded.payload as never, delivery);
  }

  /** A question from the console. */
  async ask(verb: string, data: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const handler = this.#verbs.get(verb);
    if (handler === undefined) throw new Error(`"${verb}" is not served (${randomUUID()})`);
    return handler(data, 'console');
  }

  /** The connection comes back. */
  reconnect(): void {
    this.connected = true;
    for (const listener of this.#connectListeners) listener();
  }

  of(kind: MessageKind): unknown[] {
    return this.sent.filter((message) => message.kind === kind.name).map((message) => message.payload);
  }
}
