import type { Bus, Delivery } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import { type Freeze, freeze as freezeKind } from '#bus/messages/freeze.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { RemediationStore } from './store.ts';

/** Clocks of two machines may differ by so much. */
const skewMs = 60_000;
/** Retained state arrives right after the subscription was granted; later than this the broker has none. */
const settleMs = 2_000;

/** The kill switch: what is stored counts, over restarts of this process and of the broker. */
export class FreezeGate {
  readonly #store: RemediationStore;
  readonly #clock: Clock;
  #stopping = new AbortController();
  #heard = false;
  #hasLeft = false;
  #cancel: () => void = () => undefined;

  constructor(store: RemediationStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    if (this.isFrozen) this.#stopping.abort(new Frozen());
  }

  get state(): Freeze | undefined {
    return this.#store.guards.freeze()?.freeze;
  }

  get isFrozen(): boolean {
    return this.#stopping.signal.aborted || this.state?.frozen === true;
  }

  /** Aborts when everything is frozen: whoever runs a command takes it at its start. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Listens, and tells the broker again what it has forgotten. */
  join(bus: Bus): void {
    bus.subscribe(freezeKind, (message, delivery) => this.#take(bus, message, delivery));
    bus.onConnect(() => {
      if (this.#hasLeft) return;
      this.#heard = false;
      this.#cancel();
      this.#cancel = this.#clock.after(settleMs, () => {
        const own = this.state;
        if (!this.#heard && own !== undefined && bus.connected) bus.publish(freezeKind, own);
      });
    });
  }

  /** The store is about to be closed: nothing looks into it any more. */
  leave(): void {
    this.#hasLeft = true;
    this.#cancel();
  }

  #take(bus: Bus, message: Freeze, delivery: Pick<Delivery, 'retained'>): void {
    // Not acknowledged, so that it comes again to the next process.
    if (this.#hasLeft) throw new Failure('Cannot take a freeze: the worker stops', { recoverable: true });
    this.#heard = true;
    const own = this.#store.guards.freeze();
    if (own !== undefined && !this.#isNews(message, own, delivery)) {
      // The broker was set back to an older state; what is stored here is what people last said.
      if (delivery.retained && own.freeze.frozen !== message.frozen) bus.publish(freezeKind, own.freeze);
      return;
    }
    if (own !== undefined && isSame(own.freeze, message)) return;
    // Before it is written: a full disk must not keep a command running. The message comes again until it is.
    if (message.frozen) this.#stopping.abort(new Frozen());
    const now = this.#clock.now();
    this.#store.rows.transaction(() => {
      this.#store.guards.saveFreeze(message, Math.min(Date.parse(message.at), now));
      this.#store.journal.append({ at: now, kind: 'freeze', subject: 'freeze', body: { ...message } });
    });
    if (!message.frozen && this.#stopping.signal.aborted) this.#stopping = new AbortController();
  }

  /** Freezing always counts. Thawing counts when it was said after the freeze, not when it is an old message again. */
  #isNews(
    message: Freeze,
    own: { freeze: Freeze; effectiveAt: number },
    delivery: Pick<Delivery, 'retained'>,
  ): boolean {
    if (message.frozen && !delivery.retained) return true;
    const at = Date.parse(message.at);
    return delivery.retained ? at >= own.effectiveAt : at >= own.effectiveAt - skewMs;
  }
}

/** The reason with which a command is aborted. Not a Failure: nobody but the runner sees it. */
export class Frozen extends Error {
  constructor() {
    super('frozen');
    this.name = 'Frozen';
  }
}

function isSame(a: Freeze, b: Freeze): boolean {
  return a.at === b.at && a.frozen === b.frozen && a.by === b.by;
}
