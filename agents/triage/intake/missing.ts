import type { Bus } from '#bus/bus.ts';
import { Failure, messageOf } from '#bus/failure.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Desk } from '../desk.ts';
import { findingsIn, missingFindings, takeFinding } from './findings.ts';

/** A finding and its manifest may cross on the way, and retained ones come after a subscription. */
const patienceMs = 10_000;
const askEveryMs = 60_000;
const answerMs = 15_000;

/** Asks sentinel for findings that its manifest names and that never came. */
export interface Missing {
  look(): void;
  stop(): Promise<void>;
}

export function createMissing(options: { desk: Desk; bus: Bus; clock: Clock }): Missing {
  const { desk, bus, clock } = options;
  const stopping = new AbortController();
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | undefined;
  async function ask(fingerprints: string[]): Promise<void> {
    const timeout = new AbortController();
    const cancel = clock.after(answerMs, () =>
      timeout.abort(new Failure('Cannot wait any longer', { recoverable: true })),
    );
    try {
      const signal = AbortSignal.any([stopping.signal, timeout.signal]);
      const findings = findingsIn(await bus.request('findings', { fingerprints: fingerprints.slice(0, 50) }, signal));
      if (stopping.signal.aborted) return;
      desk.transact(() => {
        for (const finding of findings) takeFinding(desk, finding);
      });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      desk.log.warn(
        { reason: messageOf(error), missing: fingerprints.length },
        'sentinel names findings that did not come',
      );
    } finally {
      cancel();
    }
  }
  return {
    look() {
      if (asking !== undefined || !bus.connected || clock.now() - askedAt < askEveryMs) return;
      const fingerprints = missingFindings(desk, patienceMs);
      if (fingerprints.length === 0) return;
      askedAt = clock.now();
      asking = ask(fingerprints).finally(() => {
        asking = undefined;
      });
    },
    async stop() {
      stopping.abort(new Failure('Stopped asking: triage stops', { recoverable: true }));
      await asking;
    },
  };
}
