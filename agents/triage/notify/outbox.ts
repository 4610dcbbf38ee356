import { Failure, messageOf } from '#bus/failure.ts';
import { type Clock, hasElapsed } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import { backoff } from '#agents/runtime/retry.ts';
import type { Store } from '#agents/runtime/store.ts';
import { type Channel, type Delivered, DeliveryFailure, type Outbound } from '../channel.ts';
import { within } from '../within.ts';
import { type OutboxRow, type OutboxRows, outboxRows } from '../store/outbox.ts';

interface OutboxOptions {
  rows: Store;
  channels: readonly Channel[];
  clock: Clock;
  log: Log;
  /** Told of each delivery, for the journal. */
  onDelivered: (delivery: { channel: string; key: string; version: number; shownPlan: string | undefined }) => void;
  /** Told once of each message that a channel refuses for good, and once when it is shut to all. */
  onRefused: (refusal: { channel: string; key: string; reason: string }) => void;
  /** How a late notice says when it was written. */
  timeText: (at: number) => string;
}

/**
 * The durable way to people. Each channel has one row per message: for the card of an incident the row is edited in
 * place, so only the newest version is sent, whatever happened while the channel was down.
 *
 * At least once: a row stays queued until its delivery is recorded. After a crash between the send and its record the
 * first send is repeated, because a duplicate is better than an alert that nobody got; an edit repeats harmlessly.
 */
export interface Outbox {
  /** Stores the newest version of a card; call inside the transaction that caused it. */
  card(incident: string, message: Extract<Outbound, { type: 'card' }>): void;
  /** A message of its own, to all channels or to one. The same key twice is one message. */
  notice(key: string, message: Extract<Outbound, { type: 'notice' }>, to?: { channel?: string; except?: string }): void;
  /** Takes the place of a reminder that still waits. Only where one of these cards has been for a while. */
  reminder(key: string, message: Extract<Outbound, { type: 'notice' }>, incidents: readonly string[]): void;
  hasCard(incident: string): boolean;
  /** The plan whose commands the channel has shown whole on the card of that incident. */
  shownPlan(channel: string, incident: string): string | undefined;
  /** Starts to send what waits. */
  wake(): void;
  length(): number;
  failed(): { channel: string; key: string; error: string }[];
  start(): void;
  stop(): Promise<void>;
}

const deliveryTimeoutMs = 60_000;
const recordAgainMs = 2_000;
const lookAgainMs = 5_000;
const retry = { firstMs: 1_000, maximumMs: 60_000 };
/** A notice that is later than this says when it was written. */
const lateMs = 2 * 60_000;
/** Who got the card so shortly ago needs no reminder, as after a channel was down. */
const freshMs = 2 * 60_000;
const reminderPrefix = 'notice:reminder:';

export function createOutbox(options: OutboxOptions): Outbox {
  const store = outboxRows(options.rows);
  const lanes = options.channels.map((channel) => new Lane(channel, store, options));
  const kinds = options.channels.map((channel) => channel.kind);
  return {
    card(incident, message) {
      for (const channel of kinds) store.put({ channel, key: cardKey(incident), message }, options.clock.now());
    },
    notice(key, message, to = {}) {
      for (const channel of kinds) {
        if ((to.channel ?? channel) !== channel || to.except === channel) continue;
        store.putOnce({ channel, key: `notice:${key}`, message }, options.clock.now());
      }
    },
    reminder(key, message, incidents) {
      store.dropWaiting(reminderPrefix);
      const before = options.clock.now() - freshMs;
      for (const channel of kinds) {
        if (!incidents.some((incident) => store.wasSent({ channel, key: cardKey(incident), before }))) continue;
        store.putOnce({ channel, key: `${reminderPrefix}${key}`, message }, options.clock.now());
      }
    },
    hasCard: (incident) => store.has(cardKey(incident)),
    shownPlan: (channel, incident) => store.shownPlan(channel, cardKey(incident)),
    wake: () => lanes.forEach((lane) => lane.wake()),
    length: () => store.length(),
    failed: () => store.failed(),
    start: () => lanes.forEach((lane) => lane.start()),
    stop: async () => void (await Promise.all(lanes.map((lane) => lane.stop()))),
  };
}

function cardKey(incident: string): string {
  return `card:${incident}`;
}

/** One channel's deliveries, one after the other: a slow channel delays no other. */
class Lane {
  readonly #channel: Channel;
  readonly #options: OutboxOptions;
  readonly #store: OutboxRows;
  readonly #stopping = new AbortController();
  #cancel: () => void = () => undefined;
  #running: Promise<void> | undefined;
  #again = false;
  /** The other side asked for a rest of `ms`: the next message would only make it longer. */
  #rest: { since: number; ms: number } | undefined;
  /** Somebody was told that the channel is shut. */
  #isToldShut = false;

  constructor(channel: Channel, store: OutboxRows, options: OutboxOptions) {
    this.#channel = channel;
    this.#options = options;
    this.#store = store;
  }

  start(): void {
    this.wake();
  }

  wake(): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#cancel();
    this.#running = this.#turn().then((nextAt) => {
      this.#running = undefined;
      if (this.#again) {
        this.#again = false;
        this.wake();
      } else this.#arm(nextAt);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Failure('Cannot go on sending: triage stops', { recoverable: true }));
    this.#cancel();
    await this.#running;
  }

  #arm(nextAt: number | undefined): void {
    if (this.#stopping.signal.aborted || nextAt === undefined) return;
    const waitMs = Math.max(0, nextAt - this.#options.clock.now(), this.#restMs());
    this.#cancel = this.#options.clock.after(waitMs, () => this.wake());
  }

  /** How much longer the channel rests. */
  #restMs(): number {
    const now = this.#options.clock.now();
    const { since, ms } = this.#rest ?? { since: now, ms: 0 };
    return hasElapsed(ms, { since, now }) ? 0 : since + ms - now;
  }

  /** Sends what is due and returns when to look again. A store that cannot be read now may be later. */
  async #turn(): Promise<number | undefined> {
    const { clock, log } = this.#options;
    try {
      await this.#drain();
      return this.#store.nextAt(this.#channel.kind);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.error({ channel: this.#channel.kind, reason: error.message }, 'messages cannot be sent yet');
      return clock.now() + lookAgainMs;
    }
  }

  async #drain(): Promise<void> {
    for (;;) {
      if (this.#stopping.signal.aborted || this.#restMs() > 0) return;
      const row = this.#store.next(this.#channel.kind, this.#options.clock.now());
      if (row === undefined) return;
      await this.#send(row);
    }
  }

  async #send(row: OutboxRow): Promise<void> {
    const late = `Cannot deliver on "${this.#channel.kind}": no answer in time`;
    const limit = { clock: this.#options.clock, ms: deliveryTimeoutMs, late, signal: this.#stopping.signal };
    let record: () => void;
    try {
      const message = this.#dated(row);
      const delivered = await within(limit, (signal) => this.#channel.deliver(message, row.reference, signal));
      record = () => this.#sent(row, delivered);
    } catch (error) {
      record = () => this.#options.rows.transaction(() => this.#failed(row, error));
    }
    await this.#keep(record);
  }

  /** A full disk: the next message waits, for without its record this one would be sent again. */
  async #keep(record: () => void): Promise<void> {
    for (;;) {
      try {
        record();
        return;
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        this.#options.log.error({ reason: messageOf(error) }, 'a delivery cannot be recorded yet');
      }
      await this.#options.clock.sleep(recordAgainMs, this.#stopping.signal).catch(() => undefined);
      if (this.#stopping.signal.aborted) return;
    }
  }

  #dated(row: OutboxRow): Outbound {
    if (row.message.type === 'card' || this.#options.clock.now() - row.createdAt < lateMs) return row.message;
    return { ...row.message, text: `(${this.#options.timeText(row.createdAt)}) ${row.message.text}` };
  }

  #sent(row: OutboxRow, delivered: Delivered): void {
    this.#isToldShut = false;
    this.#options.rows.transaction(() => {
      this.#store.sent(row, delivered, this.#options.clock.now());
      const { channel, key, version } = row;
      this.#options.onDelivered({ channel, key, version, shownPlan: delivered.shownPlan });
    });
  }

  #failed(row: OutboxRow, error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    const { clock, log } = this.#options;
    const reason = messageOf(error);
    log.warn({ channel: row.channel, key: row.key, attempts: row.attempts + 1, reason }, 'a message was not delivered');
    // What is not a Failure is a bug in the channel; the other messages and channels still go on.
    if (!(error instanceof Failure) || error.recoverable) {
      const restMs = retryAfterOf(error);
      if (restMs !== undefined) this.#rest = { since: clock.now(), ms: restMs };
      const waitMs = restMs ?? backoff(retry, row.attempts + 1);
      this.#store.retry(row, { error: reason, nextAt: clock.now() + waitMs });
      if (error instanceof DeliveryFailure && error.isShut) this.#tellShut(row, reason);
      return;
    }
    // An edit that is refused for good, as when the message was deleted, becomes a new message.
    if (row.reference !== undefined) return this.#store.resend(row, clock.now());
    if (this.#store.fail(row, reason)) this.#tellRefused(row, reason);
  }

  #tellShut(row: OutboxRow, reason: string): void {
    if (this.#isToldShut) return;
    this.#isToldShut = true;
    this.#tellRefused(row, reason);
  }

  #tellRefused({ channel, key }: OutboxRow, reason: string): void {
    this.#options.onRefused({ channel, key, reason });
  }
}

function retryAfterOf(error: unknown): number | undefined {
  if (!(error instanceof DeliveryFailure) || error.retryAfterMs === undefined) return undefined;
  return error.retryAfterMs >= 0 ? error.retryAfterMs : undefined;
}
