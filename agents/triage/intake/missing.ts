import type { Bus } from '#bus/bus.ts';
import { hasElapsed } from '#agents/runtime/clock.ts';
import type { Asking } from '../asking.ts';
import type { Desk } from '../desk.ts';
import { findingsIn, missingFindings, takeFinding } from './findings.ts';

/** A finding and its manifest may cross on the way, and retained ones come after a subscription. */
const patienceMs = 10_000;
/** Longer than an answer may take, so that no question overlaps another. */
const askEveryMs = 60_000;
const answerMs = 15_000;
const maximumAsked = 50;

/** Asks sentinel for findings that its manifest names and that never came. */
export function createMissing(options: { desk: Desk; bus: Pick<Bus, 'connected'>; asking: Asking }): { look(): void } {
  const { desk, bus, asking } = options;
  let askedAt = Number.NEGATIVE_INFINITY;
  return {
    look() {
      if (!bus.connected || !hasElapsed(askEveryMs, { since: askedAt, now: desk.now })) return;
      const missing = missingFindings(desk, patienceMs);
      if (missing.length === 0) return;
      askedAt = desk.now;
      const data = { fingerprints: missing.slice(0, maximumAsked) };
      const late = 'Cannot ask for findings: no answer in time';
      asking.ask({ verb: 'findings', data, ms: answerMs, late }, (reply) => {
        if (reply.ok) return findingsIn(reply.data).forEach((finding) => takeFinding(desk, finding));
        const reason = reply.failure.message;
        desk.log.warn({ reason, missing: missing.length }, 'sentinel names findings that did not come');
      });
    },
  };
}
