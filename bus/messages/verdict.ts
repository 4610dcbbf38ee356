import { z } from 'zod';
import { Fingerprint, Ident, Instant, Line } from '../fields.ts';
import { defineMessage } from '../message.ts';

/** Sentinel's measured outcome of a run. Sent again each time the run is seen `verifying`. */
export const Verdict = z.object({
  run: Ident,
  incident: Ident.optional(),
  outcome: z.enum(['fixed', 'not-fixed', 'worse', 'unknown']),
  checks: z.array(z.object({ fingerprint: Fingerprint, ok: z.boolean().optional(), summary: Line })).max(50),
  at: Instant,
});
export type Verdict = z.output<typeof Verdict>;

export const verdict = defineMessage({
  name: 'verdict',
  version: 1,
  payload: Verdict,
  filter: 'verdict/+',
  identify: (payload) => payload.run,
  retained: false,
  writers: ['sentinel'],
});
