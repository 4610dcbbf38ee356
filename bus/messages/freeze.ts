import { z } from 'zod';
import { Instant, Line, SignatureField } from '../fields.ts';
import { defineMessage } from '../message.ts';

/**
 * The kill switch, retained: while frozen no step starts, over restarts too. Anyone may stop, so `frozen: true` needs no
 * signature; a thaw gives power back and counts only when it is signed, by an approver of the worker's own policy.
 */
export const Freeze = z.object({
  frozen: z.boolean(),
  by: z.string().max(120),
  reason: Line,
  at: Instant,
  /** Over everything else, in a domain of its own: see `signThaw`. */
  signature: SignatureField.optional(),
});
export type Freeze = z.output<typeof Freeze>;

export const freeze = defineMessage({
  name: 'freeze',
  version: 1,
  payload: Freeze,
  filter: 'freeze',
  identify: () => '',
  retained: true,
  writers: ['triage', 'console', 'remediation'],
});
