import { z } from 'zod';
import { Digest, Instant, Line } from '../fields.ts';
import { AgentName, defineMessage } from '../message.ts';

/** Every minute, retained: a heartbeat beside the last will, because brokers that die send no wills. */
export const AgentHealth = z.object({
  agent: AgentName,
  at: Instant,
  /** Lengths of the agent's queues by name. */
  queues: z.record(z.string().max(64), z.number().int().nonnegative()),
  eventLoopLagMs: z.number().nonnegative(),
  residentBytes: z.number().int().nonnegative(),
  cpuSeconds: z.number().nonnegative(),
  lastError: Line.optional(),
  /** Head of the agent's journal; the other agents keep it, so that a truncated journal is noticed. */
  journal: z.object({ sequence: z.number().int().nonnegative(), head: Digest }).optional(),
});
export type AgentHealth = z.output<typeof AgentHealth>;

export const agentHealth = defineMessage({
  name: 'agent-health',
  version: 1,
  payload: AgentHealth,
  filter: 'agent/+/health',
  identify: (health) => health.agent,
  retained: true,
  writers: ['sentinel', 'triage', 'remediation'],
});
