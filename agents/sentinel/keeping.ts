import { z } from 'zod';
import { Failure, messageOf } from '#bus/failure.ts';
import { CheckCommon } from '#config/check-config.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import { defineCheck, noEvidence, type Observation } from './check.ts';
import type { Ledger } from './ledger.ts';
import type { BoundCheck } from './registry.ts';

/** The id of the check that sentinel adds by itself once something could not be kept. */
const checkId = 'lares-state';
/** Values at rest are kept once an hour: only after that does silence tell that they can be again. */
const quietMs = 75 * 60_000;

/** Whether what sentinel sees can be kept. What cannot be is told all the same, and this is told beside it. */
export class Keeping {
  readonly #clock: Clock;
  readonly #log: Log;
  #fault: { at: number; reason: string } | undefined;

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
      this.note(messageOf(error));
      return false;
    }
  }

  note(reason: string): void {
    this.#fault = { at: this.#clock.now(), reason };
    this.#log.error({ reason }, 'sentinel could not keep what it saw');
  }

  /** Takes the own state as a look at one more check, from the first fault on. */
  look(ledger: Pick<Ledger, 'watches' | 'take'>): void {
    if (this.#fault === undefined) return;
    const watch = ledger.watches.get(checkId) ?? { check: stateCheck, tracks: new Map() };
    ledger.watches.set(checkId, watch);
    const at = this.#clock.now();
    ledger.take(watch, { at, tookMs: 0, observations: [this.#observation(this.#fault, at)] });
  }

  #observation({ at, reason }: { at: number; reason: string }, now: number): Observation {
    const ok = now - at >= quietMs;
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
