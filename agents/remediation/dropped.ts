import type { Json } from '#bus/canonical.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import { createRateLimit } from '#agents/runtime/rate-limit.ts';
import type { RemediationStore } from './store.ts';

/** So many are written down at once, then ten a minute: who floods the worker must not fill its disk. */
const pace = { perSecond: 1 / 6, burst: 30 };

/** What somebody asked of the worker and may not: written down and otherwise without any effect. */
export interface Dropped {
  note(what: { kind: string; subject: string; body: Record<string, Json> }): void;
}

export function createDropped({ store, clock, log }: { store: RemediationStore; clock: Clock; log: Log }): Dropped {
  const limit = createRateLimit({ ...pace, clock });
  let unwritten = 0;
  return {
    note({ kind, subject, body }) {
      if (!limit.take(kind)) {
        unwritten += 1;
        return;
      }
      const entry = unwritten === 0 ? body : { ...body, unwritten };
      unwritten = 0;
      log.warn({ subject, ...entry }, `${kind}: it does not count`);
      store.journal.append({ at: clock.now(), kind, subject, body: entry });
    },
  };
}
