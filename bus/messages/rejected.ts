import { z } from 'zod';
import { Instant, Line } from '../fields.ts';
import { AgentName, defineMessage } from '../message.ts';

/** A message that a decoder refused, or a publish that the broker denied. The payload itself is not repeated. */
export const Rejected = z.object({
  by: z.union([AgentName, z.literal('broker')]),
  topic: z.string().max(300),
  reason: Line,
  bytes: z.number().int().nonnegative(),
  /** Who sent it, when the broker knows. */
  from: z.string().max(120).optional(),
  at: Instant,
});
export type Rejected = z.output<typeof Rejected>;

export const rejected = defineMessage({
  name: 'rejected',
  version: 1,
  payload: Rejected,
  filter: 'bridge/rejected',
  identify: () => '',
  retained: false,
  writers: AgentName.options,
});
