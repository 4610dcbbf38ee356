import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Desk } from '../desk.ts';
import { within } from '../within.ts';
import { findingsIn, missingFindings, takeFinding } from './findings.ts';

/** A finding and its manifest may cross on the way, and retained ones come after a subscription. */
const patienceMs = 10_000;
const askEveryMs = 60_000;
const answerMs = 15_000;
const maximumAsked = 50;

/** Asks sentinel for findings that its manifest names and that never came. */
interface Missing {
  look(): void;
  stop(): Promise<void>;
}

export function createMissing(options: { desk: Desk; bus: Bus; clock: Clock }): Missing {
  const { desk, bus, clock } = options;
  const stopping = new AbortController();
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | undefined;
  async function ask(fingerprints: string[]): Promise<void> {
    try {
      const limit = {
        clock,
        ms: answerMs,
        late: 'Cannot ask for findings: no answer in time',
        signal: stopping.signal,
      };
      const asked = { fingerprints: fingerprints.slice(0, maximumAsked) };
      const findings = findingsIn(await within(limit, (signal) => bus.request('findings', asked, signal)));
      if (stopping.signal.aborted) return;
      desk.transact(() => {
        for (const finding of findings) takeFinding(desk, finding);
      });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      desk.log.warn(
        { reason: error.message, missing: fingerprints.length },
        'sentinel names findings that did not come',
      );
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
      stopping.abort(new Failure('Cannot go on asking for findings: triage stops', { recoverable: true }));
      await asking;
    },
  };
}
