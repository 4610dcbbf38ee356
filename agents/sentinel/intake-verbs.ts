import { z } from 'zod';
import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import { Fingerprint } from '#bus/fields.ts';
import { scrub } from '#bus/scrub.ts';
import { type Clock, toInstant } from '#agents/runtime/clock.ts';
import type { Foreign } from './foreign/foreign.ts';
import type { Visits } from './foreign/reception.ts';
import type { Waiting } from './heartbeat/waiting.ts';
import type { History } from './history.ts';

/** An answer must fit into one message. */
const maximumListed = 200;

const Dismissal = z.object({ fingerprints: z.array(Fingerprint).max(500), by: z.string().min(1).max(300) });

interface IntakeVerbs {
  clock: Clock;
  waiting: Pick<Waiting, 'names'>;
  history: Pick<History, 'lastPing' | 'knownSince'>;
  foreign: Pick<Foreign, 'dismiss'>;
  visits: () => readonly Visits[];
}

/** Answers `intakes` (what came from whom since the start) and `resolve` (a person says that alerts of others are over). */
export function serveIntakes(bus: Bus, { clock, waiting, history, foreign, visits }: IntakeVerbs): void {
  const since = toInstant(clock.now());
  bus.serve('intakes', async () => ({
    since,
    intakes: visits().slice(0, maximumListed).map(shown),
    heartbeats: waiting
      .names()
      .slice(0, maximumListed)
      .map((name) => heartbeat(name, history)),
  }));
  bus.serve('resolve', async (data) => {
    const asked = Dismissal.safeParse(data);
    if (!asked.success) throw new Failure('Cannot resolve: it is not said what, and by whom', { recoverable: false });
    const { fingerprints, by } = asked.data;
    const resolved = foreign.dismiss(fingerprints, by);
    return { resolved, left: fingerprints.length - resolved };
  });
}

function shown({ name, kind, open, taken, complaint }: Visits): Record<string, unknown> {
  return {
    name,
    kind,
    open,
    ...(taken && { taken: { ...taken, at: toInstant(taken.at) } }),
    ...(complaint && { complaint: { ...complaint, text: scrub(complaint.text), at: toInstant(complaint.at) } }),
  };
}

function heartbeat(name: string, history: IntakeVerbs['history']): Record<string, unknown> {
  const last = history.lastPing(name);
  return {
    name,
    since: toInstant(history.knownSince(name)),
    ...(last && { last: { kind: last.kind, exitStatus: last.exitStatus, at: toInstant(last.at) } }),
  };
}
