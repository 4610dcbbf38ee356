import { z } from 'zod';
import { Digest, Ident, Instant, Line, SignatureField } from '../fields.ts';
import { defineMessage } from '../message.ts';

/** Who decided which plan digest. The signature covers the canonical text of everything but itself. */
export const Approval = z.object({
  id: Ident,
  plan: Ident,
  digest: Digest,
  decision: z.enum(['approve', 'reject']),
  /** `telegram:<user id>` or `terminal:<user name>`: the worker looks it up in its own policy. */
  approver: z.string().max(120),
  name: Line,
  proof: z.object({ kind: z.literal('tap') }),
  decidedAt: Instant,
  /** The worker refuses it from then on. */
  expiresAt: Instant,
  signature: SignatureField,
});
export type Approval = z.output<typeof Approval>;

export const approval = defineMessage({
  name: 'approval',
  version: 1,
  payload: Approval,
  filter: 'approval/+',
  identify: (payload) => payload.plan,
  retained: false,
  writers: ['triage', 'console'],
});
