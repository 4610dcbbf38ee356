import { z } from 'zod';
import { Failure, messageOf } from '#bus/failure.ts';
import { CheckCommon } from '#config/check-config.ts';
import { type Clock, hasElapsed } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import { isDamaged } from '#agents/runtime/store.ts';
import { defineCheck, noEvidence, type Observation } from './check.ts';
import type { Ledger } from './ledger.ts';
import type { BoundCheck } from './registry.ts';

/** The id of the check that sentinel adds by itself once something could not be kept. */
const checkId = 'lares-state';
/** What was lost is told for so long; a damage that is there still shows within it, for values at rest are kept hourly. */
const quietMs = 75 * 60_000;

interface Fault {
  at: number;
  reason: string;
  /** Something is gone. Otherwise it is over once something can be kept again. */
  isLoss: boolean;
}

/** Whether what sentinel sees can be kept. What cannot be is told all the same, and this is told beside it. */
export class Keeping {
  readonly #clock: Clock;
  readonly #log: Log;
  #fault: Fault | undefined;

  constructor({ clock, log }: { clock: Clock; log: Log }) {
    this.#clock = clock;
    this.#log = log;
  }

  /** False when the store refused, which is noted; other errors are thrown. */
  guard(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#take(messageOf(error), isDamaged(error));
      return false;
    }
  }

  /** Something was lost. */
  note(reason: string): void {
    this.#take(reason, true);
  }

  #take(reason: string, isLoss: boolean): void {
    const at = this.#clock.now();
    const before = this.#fault;
    // That something is gone outlives a fault that may be over with the next look.
    const isHidden = !isLoss && before?.isLoss === true && !hasElapsed(quietMs, { since: before.at, now: at });
    if (!isHidden) this.#fault = { at, reason, isLoss };
    this.#log.error({ reason }, 'sentinel could not keep what it saw');
  }

  /** Takes the own state as a look at one more check, from the first fault on. `write` keeps something that nobody needs. */
  look(ledger: Pick<Ledger, 'watches' | 'take'>, write: () => void): void {
    const fault = this.#fault;
    if (fault === undefined) return;
    const watch = ledger.watches.get(checkId) ?? { check: stateCheck, tracks: new Map() };
    ledger.watches.set(checkId, watch);
    const at = this.#clock.now();
    ledger.take(watch, { at, tookMs: 0, observations: [this.#observation(fault, write)] });
  }

  #observation({ at, reason, isLoss }: Fault, write: () => void): Observation {
    const ok = isLoss ? hasElapsed(quietMs, { since: at, now: this.#clock.now() }) : this.guard(write);
    return {
      condition: 'state-not-kept',
      resource: stateCheck.resource,
      reading: { is: 'state', ok, severity: 'critical' },
      summary: ok
        ? 'Sentinel keeps again what it sees'
        : `Sentinel's state is not kept as it should be; a restart may forget what it saw: ${reason}`,
      holdMs: 0,
    };
  }
}

const definition = defineCheck({
  kind: 'state',
  about: 'Whether sentinel can keep what it sees.',
  options: z.object({}),
  reach: 'network',
  evidence: noEvidence,
  resourceOf: () => 'sentinel',
  observe: () => Promise.resolve([]),
});

const stateCheck: BoundCheck = {
  id: checkId,
  kind: definition.kind,
  config: { ...CheckCommon.parse({ id: checkId, kind: definition.kind, clearAfter: 1 }), options: {} },
  definition,
  options: {},
  resource: 'sentinel',
  intervalMs: 60_000,
  isTried: false,
  isRemote: false,
};
