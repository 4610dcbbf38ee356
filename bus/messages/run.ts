import { z } from 'zod';
import { Fingerprint, Ident, Instant, Text } from '../fields.ts';
import { defineMessage } from '../message.ts';

const RunStep = z.object({
  id: Ident,
  host: Ident,
  /** The command as a person would type it. */
  command: z.string().max(4_000),
  status: z.enum(['waiting', 'running', 'succeeded', 'failed', 'timed-out', 'unknown', 'skipped']),
  exitStatus: z.number().int().optional(),
  /** Both streams, redacted, the end of what came. */
  output: Text.optional(),
  startedAt: Instant.optional(),
  endedAt: Instant.optional(),
});

/** In the order in which a run goes through them. */
export const RunStatus = z.enum([
  'queued',
  'started',
  'succeeded',
  'failed',
  'timed-out',
  'unknown',
  'rolled-back',
  'verifying',
  'refused',
  'verified',
]);

/**
 * One execution of one approved plan. `refused`: a guard said no after approval and nothing ran. `verifying` asks
 * sentinel to repeat the checks of `findings`; the topic is cleared once the verdict was seen.
 */
export const Run = z.object({
  id: Ident,
  plan: Ident,
  incident: Ident.optional(),
  playbook: Ident,
  hosts: z.array(Ident).min(1).max(20),
  findings: z.array(Fingerprint).max(50),
  status: RunStatus,
  /** How the commands ended, kept while `status` goes on to `verifying` and `verified`. */
  end: z.enum(['succeeded', 'failed', 'timed-out', 'unknown', 'rolled-back', 'refused']).optional(),
  reason: Text.optional(),
  steps: z.array(RunStep).max(200),
  approver: z.string().max(120).optional(),
  /** The approval that it follows from, or that a guard refused: whoever sent that one need not send it again. */
  approval: Ident.optional(),
  startedAt: Instant.optional(),
  endedAt: Instant.optional(),
  updatedAt: Instant,
});
export type Run = z.output<typeof Run>;

export const run = defineMessage({
  name: 'run',
  version: 1,
  payload: Run,
  filter: 'run/+',
  identify: (payload) => payload.id,
  retained: true,
  writers: ['remediation'],
});
