import { z } from 'zod';
import { Digest, Ident, Instant, Line, Parameters, Text } from '../fields.ts';
import { defineMessage } from '../message.ts';

/** An opinion: a cause with a confidence and the evidence used. Never an action. */
export const Assessment = z.object({
  incident: Ident,
  source: z.enum(['rules', 'model', 'none']),
  provider: z.string().max(60).optional(),
  model: z.string().max(120).optional(),
  cause: Text,
  /** 0 to 1. */
  confidence: z.number().min(0).max(1),
  evidence: z.array(Line).max(12),
  proposal: z.object({ playbook: Ident, parameters: Parameters, hosts: z.array(Ident).min(1).max(20) }).optional(),
  /** Providers that were passed over on the way to this answer, in order. */
  failovers: z.array(z.object({ provider: z.string().max(60), reason: z.string().max(200) })).max(10),
  costEuro: z.number().nonnegative(),
  /** Why there is no model's opinion, when there is none. */
  notAssessed: Line.optional(),
  /** SHA-256 of the prompt that the answer was given to, for the journal. */
  promptDigest: Digest.optional(),
  at: Instant,
});
export type Assessment = z.output<typeof Assessment>;

export const assessment = defineMessage({
  name: 'assessment',
  version: 1,
  payload: Assessment,
  filter: 'assessment/+',
  identify: (payload) => payload.incident,
  retained: false,
  writers: ['triage'],
});
