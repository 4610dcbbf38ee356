import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import { scrub } from '#bus/scrub.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import type { Observation } from './check.ts';
import type { Board } from './board.ts';
import type { Ledger } from './ledger.ts';
import type { LookResult } from './tracks.ts';

/** An answer must fit into one message. */
const maximumObservations = 200;
const maximumSummary = 300;
const maximumFindings = 50;

/** Answers `check` (look now), `status` (how everything stands) and `findings` (those named, as they are now). */
export function serveVerbs(
  bus: Bus,
  options: { ledger: Ledger; board: Board; lookNow: (id: string) => Promise<LookResult> },
): void {
  const { ledger, board } = options;
  bus.serve('check', async ({ id }) => {
    if (typeof id !== 'string' || !ledger.watches.has(id)) {
      throw new Failure(`Cannot look: there is no check "${String(id).slice(0, 80)}"`, { recoverable: false });
    }
    const result = await options.lookNow(id);
    return {
      check: id,
      at: toInstant(result.at),
      tookMs: result.tookMs,
      observations: result.observations.slice(0, maximumObservations).map(shown),
      leftOut: Math.max(0, result.observations.length - maximumObservations),
    };
  });
  // Triage asks for what the manifest names and it never got. Evidence stays out: many must fit into one message.
  bus.serve('findings', async ({ fingerprints }) => {
    const wanted = new Set<unknown>(Array.isArray(fingerprints) ? fingerprints : []);
    const findings = board.firing().filter(({ fingerprint }) => wanted.has(fingerprint));
    return { findings: findings.slice(0, maximumFindings).map((finding) => ({ ...finding, evidence: [] })) };
  });
  bus.serve('status', async () => ({ ...board.count(), hosts: board.hostStates() }));
}

function shown({ condition, resource, reading, summary }: Observation): Record<string, unknown> {
  return {
    condition,
    resource: resource.slice(0, maximumSummary),
    reading:
      reading.is === 'unknown' ? { ...reading, reason: scrub(reading.reason).slice(0, maximumSummary) } : reading,
    summary: scrub(summary).slice(0, maximumSummary),
  };
}
