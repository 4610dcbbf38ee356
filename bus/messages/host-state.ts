import { z } from 'zod';
import { Ident, Instant, Severity } from '../fields.ts';
import { defineMessage } from '../message.ts';

export const HostState = z.object({
  host: Ident,
  problem: z.boolean(),
  findings: z.number().int().nonnegative(),
  worst: Severity.optional(),
  reachability: z.enum(['reachable', 'unreachable', 'asleep', 'unknown']),
  at: Instant,
});
export type HostState = z.output<typeof HostState>;

export const hostState = defineMessage({
  name: 'host-state',
  version: 1,
  payload: HostState,
  filter: 'host/+/state',
  identify: (state) => state.host,
  retained: true,
  writers: ['sentinel'],
});
