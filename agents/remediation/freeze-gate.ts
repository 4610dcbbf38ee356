import type { Bus, Delivery } from '#bus/bus.ts';
import { canonical, digestOf } from '#bus/canonical.ts';
import { Failure } from '#bus/failure.ts';
import { type Freeze, freeze as freezeKind } from '#bus/messages/freeze.ts';
import { verifyThaw } from '#bus/sign.ts';
import { type JudgingContext, notBelieved, rememberedMs, skewMs } from './persons-word.ts';

/** Retained state arrives right after the subscription was granted; later than this the broker has none. */
const settleMs = 2_000;

interface Own {
  freeze: Freeze;
  effectiveAt: number;
  /** It was stored by a clock that was ahead: what came since cannot be told from what came before. */
  isAhead: boolean;
}
type Stored = Own | undefined;

/**
 * The kill switch: what is stored counts, over restarts of this process and of the broker. Anyone may freeze; a thaw
 * counts once, signed, from an approver of the worker's own policy, and when it was said after the freeze.
 */
export class FreezeGate {
  readonly #by: JudgingContext;
  #stopping = new AbortController();
  #bus: Bus | undefined;
  #heard = false;
  #hasLeft = false;
  #isSettled = false;
  #onSettled: () => void = () => undefined;
  #cancel: () => void = () => undefined;

  constructor(by: JudgingContext) {
    this.#by = by;
    if (this.isFrozen) this.#stopping.abort(new Frozen());
  }

  get state(): Freeze | undefined {
    return this.#by.store.guards.freeze()?.freeze;
  }

  get isFrozen(): boolean {
    return this.#stopping.signal.aborted || this.state?.frozen === true;
  }

  /** False until the bus has said what it holds, or had time to: somebody may have frozen while this process was away. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Aborts when everything is frozen: whoever runs a command takes it at its start. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Listens, and tells the broker again what it has forgotten. `onSettled` is called once. */
  join(bus: Bus, onSettled: () => void = () => undefined): void {
    this.#bus = bus;
    this.#onSettled = onSettled;
    bus.subscribe(freezeKind, (message, delivery) => this.#take(message, delivery));
    bus.onConnect(() => {
      if (this.#hasLeft) return;
      this.#heard = false;
      this.#cancel();
      this.#cancel = this.#by.clock.after(settleMs, () => {
        const own = this.state;
        if (!this.#heard && own !== undefined && bus.connected) bus.publish(freezeKind, own);
        this.#settle();
      });
    });
  }

  /** The store is about to be closed: nothing looks into it any more. */
  leave(): void {
    this.#hasLeft = true;
    this.#cancel();
  }

  /** Takes a thaw and tells everybody, or says why it does not count. */
  thaw(message: Freeze): string | undefined {
    const own = this.#own();
    if (own !== undefined && isSame(own.freeze, message)) return undefined;
    const refusal = this.#judge(message, own, false);
    if (refusal === undefined) {
      this.#store(message, own);
      this.#tell();
    }
    return refusal;
  }

  /** What was said by a clock that was ahead counts as said now: else nothing could be thawed until that time comes. */
  #own(): Stored {
    const { store, clock } = this.#by;
    const own = store.guards.freeze();
    const now = clock.now();
    return own && { ...own, effectiveAt: Math.min(own.effectiveAt, now), isAhead: own.effectiveAt > now };
  }

  #take(message: Freeze, { retained }: Pick<Delivery, 'retained'>): void {
    // Not acknowledged, so that it comes again to the next process.
    if (this.#hasLeft) throw new Failure('Cannot take a freeze: the worker stops', { recoverable: true });
    this.#heard = true;
    const own = this.#own();
    if (own === undefined || !isSame(own.freeze, message)) this.#takeNew(message, own, retained);
    this.#settle();
  }

  #takeNew(message: Freeze, own: Stored, retained: boolean): void {
    if (message.frozen) {
      // Freezing always counts, but what the broker was set back to is no news.
      if (retained && own?.isAhead === false && Date.parse(message.at) < own.effectiveAt) {
        if (!own.freeze.frozen) this.#tell();
        return;
      }
      // Before it is written: a full disk must not keep a command running. The message comes again until it is.
      this.#stopping.abort(new Frozen());
      this.#store(message, own);
    } else if (this.#judge(message, own, retained) === undefined) this.#store(message, own);
    // The broker now holds what does not count.
    else if (own !== undefined) this.#tell();
  }

  /** Why a thaw does not count. One that was judged before never does, also when a newer freeze came between. */
  #judge(message: Freeze, own: Stored, retained: boolean): string | undefined {
    const { store, dropped } = this.#by;
    const refusal = this.#refusalOf(message, own, retained);
    if (refusal === undefined) return undefined;
    dropped.note({
      kind: 'thaw-refused',
      subject: 'freeze',
      body: { by: message.by, at: message.at, why: refusal.why },
    });
    if (refusal.isSigned) store.guards.rememberThaw(digestOf(message), Date.parse(message.at));
    return refusal.why;
  }

  #refusalOf(message: Freeze, own: Stored, retained: boolean): { why: string; isSigned: boolean } | undefined {
    const { store, clock, people, trustedKeys } = this.#by;
    if (!verifyThaw(message, trustedKeys())) return { why: notBelieved, isSigned: false };
    const refuse = (why: string): { why: string; isSigned: boolean } => ({ why, isSigned: true });
    if (!people.may(message.by, 'approver')) return refuse(`"${message.by}" is no approver here`);
    if (store.guards.knowsThaw(digestOf(message))) return refuse('it was said before');
    const at = Date.parse(message.at);
    const now = clock.now();
    if (at > now + skewMs) {
      return refuse(`it says "${message.at}" and the worker's clock ${new Date(now).toISOString()}; set the clocks`);
    }
    if (own === undefined || at >= own.effectiveAt - (retained ? 0 : skewMs)) return undefined;
    return refuse(
      `it says "${message.at}", before ${new Date(own.effectiveAt).toISOString()}; say it again, or set the clocks`,
    );
  }

  #store(message: Freeze, own: Stored): void {
    const { store, clock } = this.#by;
    const now = clock.now();
    // Never back: a freeze that claims to be old must not let old thaws count again.
    const effectiveAt = Math.max(own?.effectiveAt ?? 0, Math.min(Date.parse(message.at), now));
    store.rows.transaction(() => {
      store.guards.saveFreeze(message, effectiveAt);
      if (!message.frozen) store.guards.rememberThaw(digestOf(message), Date.parse(message.at));
      store.guards.forgetThaws(effectiveAt - rememberedMs);
      const { signature: _, ...body } = message;
      store.journal.append({ at: now, kind: 'freeze', subject: 'freeze', body });
    });
    if (!message.frozen && this.#stopping.signal.aborted) this.#stopping = new AbortController();
  }

  #tell(): void {
    const own = this.state;
    if (own !== undefined && this.#bus?.connected === true) this.#bus.publish(freezeKind, own);
  }

  #settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#onSettled();
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
  return canonical(a) === canonical(b);
}
