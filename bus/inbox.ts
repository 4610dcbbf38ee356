import { setTimeout as sleep } from 'node:timers/promises';
import type { Delivery } from './bus.ts';
import { Failure, messageOf } from './failure.ts';
import type { Arrival } from './link.ts';
import type { BusLog } from './log.ts';
import { decode, filterOf, identityIn, type MessageKind } from './message.ts';
import { createPace } from './pace.ts';

type Handler = (payload: never, delivery: Delivery) => void | Promise<void>;
type ClearHandler = (id: string) => void | Promise<void>;

/**
 * All who listen to one kind. Kinds are handled beside each other; messages of a kind one after the other, unless all who
 * listen take them together.
 */
interface Lane {
  kind: MessageKind;
  handlers: Handler[];
  clearHandlers: ClearHandler[];
  isTogether: boolean;
  /** Resolves when all that arrived so far was handled. */
  tail: Promise<void>;
}

type NewHandler = { message: Handler; together?: boolean | undefined } | { clear: ClearHandler };

interface InboxOptions {
  site: string;
  log: BusLog;
  /** Called for each message that could not be read. */
  refuse: (kind: MessageKind, topic: string, refusal: { reason: string; bytes: number }) => void;
}

/** Unhandled messages before reading stops; then TCP holds the rest at the broker. */
const highWater = 1_024;
const lowWater = 256;
const complaintsPerSecond = 10;
const firstRetryMs = 100;
const longestRetryMs = 10_000;

/** What came in and is not yet handled: finds the listeners, isolates them, acknowledges when all are done. */
export class Inbox {
  readonly #site: string;
  readonly #log: BusLog;
  readonly #refuse: InboxOptions['refuse'];
  readonly #lanes = new Map<string, Lane>();
  readonly #closing = new AbortController();
  /** A full disk lets every message wait that arrives. */
  readonly #complaints = createPace(complaintsPerSecond);
  #parked: Arrival[] = [];
  #open = 0;
  #held: (() => void)[] = [];

  constructor(options: InboxOptions) {
    this.#site = options.site;
    this.#log = options.log;
    this.#refuse = options.refuse;
  }

  /** The filters that somebody listens to. */
  get filters(): string[] {
    return [...this.#lanes.keys()];
  }

  /** True when this is the first listener of its kind, so that the filter must be subscribed. */
  add(kind: MessageKind, handler: NewHandler): boolean {
    const filter = filterOf(this.#site, kind);
    const known = this.#lanes.get(filter);
    const lane = known ?? { kind, handlers: [], clearHandlers: [], isTogether: true, tail: Promise.resolve() };
    if ('message' in handler) lane.handlers.push(handler.message);
    else lane.clearHandlers.push(handler.clear);
    lane.isTogether &&= 'message' in handler && handler.together === true;
    this.#lanes.set(filter, lane);
    if (known === undefined) queueMicrotask(() => this.#unpark());
    return known === undefined;
  }

  /** Takes a message; the returned promise says when there is room for more. */
  arrive(arrival: Arrival): Promise<void> | undefined {
    this.#open += 1;
    this.#place(arrival);
    if (this.#open < highWater) return undefined;
    return new Promise((resolve) => this.#held.push(resolve));
  }

  /**
   * Messages of a session that nobody listens to: a subscription of an earlier version. Acknowledges and forgets them.
   * Returns the topics.
   */
  dropParked(): string[] {
    const parked = this.#parked;
    this.#parked = [];
    for (const arrival of parked) this.#done(arrival);
    return [...new Set(parked.map((arrival) => arrival.topic))];
  }

  /** Forgets what waits for a listener: a new connection brings it again. */
  forgetParked(): void {
    this.#open -= this.#parked.length;
    this.#parked = [];
    for (const resume of this.#held.splice(0)) resume();
  }

  /** Waits for the messages that are being handled; those that wait behind them stay unacknowledged. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#lanes.values()].map((lane) => lane.tail));
  }

  #unpark(): void {
    const parked = this.#parked;
    this.#parked = [];
    for (const arrival of parked) this.#place(arrival);
  }

  #place(arrival: Arrival): void {
    for (const lane of this.#lanes.values()) {
      const id = identityIn(this.#site, lane.kind, arrival.topic);
      if (id === undefined) continue;
      const before = lane.tail;
      const handling = lane.isTogether ? this.#handle(lane, id, arrival) : undefined;
      lane.tail = before.then(() => handling ?? this.#handle(lane, id, arrival));
      return;
    }
    // The session's messages arrive with the CONNACK, maybe before the agent has added its listeners.
    this.#parked.push(arrival);
  }

  async #handle(lane: Lane, id: string, arrival: Arrival): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const work = this.#workOf(lane, id, arrival);
    const handled = await Promise.all(work.map((run) => this.#isolated(lane.kind, id, run)));
    if (handled.every(Boolean)) this.#done(arrival);
  }

  #workOf(lane: Lane, id: string, arrival: Arrival): (() => void | Promise<void>)[] {
    if (arrival.payload.length === 0) return lane.clearHandlers.map((handler) => () => handler(id));
    const decoded = decode(lane.kind, arrival.payload);
    const bytes = arrival.payload.length;
    if (!decoded.ok) {
      this.#refuse(lane.kind, arrival.topic, { reason: decoded.reason, bytes });
      return [];
    }
    // The broker's access list is about topics: a payload that names somebody else would slip past it.
    if (lane.kind.identify(decoded.payload) !== id) {
      this.#refuse(lane.kind, arrival.topic, { reason: 'the payload is not about the identity in the topic', bytes });
      return [];
    }
    const delivery: Delivery = { id, retained: arrival.retained };
    return lane.handlers.map((handler) => () => handler(decoded.payload as never, delivery));
  }

  /** False when the bus closes before the listener succeeded: the message must come again. */
  async #isolated(kind: MessageKind, id: string, run: () => void | Promise<void>): Promise<boolean> {
    for (let delayMs = firstRetryMs; ; delayMs = Math.min(delayMs * 2, longestRetryMs)) {
      try {
        await run();
        return true;
      } catch (error) {
        const fields = { kind: kind.name, id, error: messageOf(error) };
        if (!(error instanceof Failure && error.recoverable)) {
          this.#log.error({ ...fields, err: error }, 'A listener failed; its message is dropped');
          return true;
        }
        if (this.#complaints.admits()) {
          this.#log.warn(fields, 'A listener could not handle a message yet; it is tried again');
        }
      }
      if (!(await pause(delayMs, this.#closing.signal))) return false;
    }
  }

  #done(arrival: Arrival): void {
    arrival.ack();
    this.#open -= 1;
    if (this.#open > lowWater) return;
    for (const resume of this.#held.splice(0)) resume();
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(ms, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}
