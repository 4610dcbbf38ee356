import { z } from 'zod';
import { Fingerprint, Ident, Instant, Line, Severity } from '../fields.ts';
import { defineMessage } from '../message.ts';

/** One thing that is wrong for one reason. */
export const Incident = z.object({
  id: Ident,
  state: z.enum(['grouping', 'open', 'resolved', 'closed']),
  severity: Severity,
  title: Line,
  root: Fingerprint,
  /** Why this root, and why each other member is silent: the id of the rule and its words. */
  members: z
    .array(
      z.object({
        fingerprint: Fingerprint,
        host: Ident.optional(),
        summary: Line,
        status: z.enum(['firing', 'resolved']),
        role: z.enum(['root', 'symptom']),
        rule: z.string().max(60),
        why: Line,
      }),
    )
    .max(500),
  acknowledgedBy: z.string().max(120).optional(),
  snoozedUntil: Instant.optional(),
  startsAt: Instant,
  endsAt: Instant.optional(),
  updatedAt: Instant,
});
export type Incident = z.output<typeof Incident>;

export const incident = defineMessage({
  name: 'incident',
  version: 1,
  payload: Incident,
  filter: 'incident/+',
  identify: (payload) => payload.id,
  retained: true,
  writers: ['triage'],
});
