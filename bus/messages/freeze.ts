import { z } from 'zod';
import { Instant, Line } from '../fields.ts';
import { defineMessage } from '../message.ts';

/** The kill switch, retained: while frozen no step starts, over restarts too. */
export const Freeze = z.object({
  frozen: z.boolean(),
  by: z.string().max(120),
  reason: Line,
  at: Instant,
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
