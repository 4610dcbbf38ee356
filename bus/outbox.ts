import type { Link } from './link.ts';
import type { BusLog } from './log.ts';
import { createPace } from './pace.ts';

interface Outgoing {
  topic: string;
  payload: Buffer;
  retain: boolean;
}

/** Unacknowledged messages at once: a broker that does not answer must not fill the memory. */
const maximumInFlight = 10_000;
/** Topics cleared while disconnected that are remembered. */
const maximumClears = 10_000;
const nothing = Buffer.alloc(0);

/**
 * What was handed to the connection and is not acknowledged. While disconnected new messages are dropped, because their
 * owners publish from their stores when connected again; two things nobody else remembers are kept and sent first: what
 * was under way when the connection broke, and the removal of retained state.
 */
export class Outbox {
  readonly #log: BusLog;
  readonly #inFlight = new Map<number, Outgoing>();
  readonly #clears = new Set<string>();
  readonly #complaints = createPace(1);
  #link: Link | undefined;
  #sequence = 0;
  #waiters: { upTo: number; resolve: () => void }[] = [];

  constructor(log: BusLog) {
    this.#log = log;
  }

  send(message: Outgoing): void {
    if (this.#link === undefined) {
      this.#log.debug({ topic: message.topic }, 'Not connected; a message is dropped');
      return;
    }
    if (this.#inFlight.size >= maximumInFlight) {
      if (this.#complaints.admits()) {
        this.#log.error({ topic: message.topic }, 'The broker acknowledges too slowly; messages are dropped');
      }
      return;
    }
    this.#sequence += 1;
    this.#inFlight.set(this.#sequence, message);
    void this.#transmit(this.#link, this.#sequence, message);
  }

  clear(topic: string): void {
    if (this.#link !== undefined) return this.send({ topic, payload: nothing, retain: true });
    for (const [sequence, message] of this.#inFlight) if (message.topic === topic) this.#settle(sequence);
    if (this.#clears.size < maximumClears) this.#clears.add(topic);
  }

  /** A connection is there: sends again what was under way, in its order, then the removals. */
  opened(link: Link): void {
    this.#link = link;
    for (const [sequence, message] of this.#inFlight) void this.#transmit(link, sequence, message);
    for (const topic of this.#clears) this.send({ topic, payload: nothing, retain: true });
    this.#clears.clear();
  }

  lost(): void {
    this.#link = undefined;
  }

  /** Calls back when everything sent so far was acknowledged or refused. */
  whenEmpty(resolve: () => void): void {
    this.#waiters.push({ upTo: this.#sequence, resolve });
    this.#wake();
  }

  async #transmit(link: Link, sequence: number, message: Outgoing): Promise<void> {
    const sent = await link.publish(message.topic, message.payload, message.retain);
    if (sent === 'lost') return;
    if (sent === 'refused' && this.#complaints.admits()) {
      this.#log.error({ topic: message.topic }, 'The broker refuses a message');
    }
    this.#settle(sequence);
  }

  #settle(sequence: number): void {
    this.#inFlight.delete(sequence);
    this.#wake();
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    // A Map keeps the order of insertion, so the first key is the oldest.
    const [oldest = Infinity] = this.#inFlight.keys();
    this.#waiters = this.#waiters.filter(({ upTo, resolve }) => {
      if (upTo >= oldest) return true;
      resolve();
      return false;
    });
  }
}
