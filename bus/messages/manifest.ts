import { z } from 'zod';
import { Fingerprint, Ident, Instant } from '../fields.ts';
import { defineMessage } from '../message.ts';

/**
 * What one sentinel finds firing now, and how much it looked at. Triage compares it with what it holds: a fingerprint
 * here that it does not know was missed, one that it holds and is not here is over.
 */
export const Manifest = z.object({
  sentinel: Ident,
  sequence: z.number().int().nonnegative(),
  at: Instant,
  firing: z.array(z.object({ fingerprint: Fingerprint, occurrence: Ident })).max(2_000),
  /** Resources by state, after the last round. */
  counts: z.object({
    checks: z.number().int(),
    hosts: z.number().int(),
    ok: z.number().int(),
    pending: z.number().int(),
    firing: z.number().int(),
    /** Resting as its owner wishes: neither well nor a problem. */
    asleep: z.number().int().default(0),
    unknown: z.number().int(),
    stale: z.number().int(),
  }),
  /** Why something is unknown or stale: the reason and how many resources it holds back. */
  unseen: z.array(z.object({ reason: z.string().max(200), count: z.number().int() })).max(20),
});
export type Manifest = z.output<typeof Manifest>;

export const manifest = defineMessage({
  name: 'manifest',
  version: 1,
  payload: Manifest,
  filter: 'findings/+',
  identify: (payload) => payload.sentinel,
  retained: true,
  writers: ['sentinel'],
});
