import { z } from 'zod';
import { Ident, Instant } from '../fields.ts';
import { AgentName, defineMessage } from '../message.ts';

/** Online or offline, retained, and each agent's last will: the broker tells the others of a death. */
export const AgentState = z.object({
  agent: AgentName,
  state: z.enum(['online', 'offline']),
  version: z.string().max(40),
  /** One process life; a new one starts a new instance. */
  instance: Ident,
  since: Instant,
});
export type AgentState = z.output<typeof AgentState>;

export const agentState = defineMessage({
  name: 'agent-state',
  version: 1,
  payload: AgentState,
  filter: 'agent/+/state',
  identify: (state) => state.agent,
  retained: true,
  writers: AgentName.options,
});
