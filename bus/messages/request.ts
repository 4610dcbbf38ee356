import { z } from 'zod';
import { Ident, Instant } from '../fields.ts';
import { AgentName, defineMessage } from '../message.ts';

/** A question to the agent that serves the verb; the answer echoes the transaction (as Zigbee2MQTT does). */
export const Request = z.object({
  verb: Ident,
  transaction: Ident,
  from: AgentName,
  data: z.record(z.string().max(64), z.unknown()),
  /** Not answered from then on: a question may lie in a session for days. */
  expiresAt: Instant.optional(),
});
export type Request = z.output<typeof Request>;

export const request = defineMessage({
  name: 'request',
  version: 1,
  payload: Request,
  filter: 'request/+',
  identify: (payload) => payload.verb,
  retained: false,
  writers: ['triage', 'console'],
});
