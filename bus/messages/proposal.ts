import { z } from 'zod';
import { Fingerprint, Ident, Instant, Parameters } from '../fields.ts';
import { defineMessage } from '../message.ts';

/** Please plan this playbook with these parameters. Sent again until a plan with this proposal's id is seen. */
export const Proposal = z.object({
  id: Ident,
  /** Absent when a person asks for a run without an incident. */
  incident: Ident.optional(),
  playbook: Ident,
  parameters: Parameters,
  hosts: z.array(Ident).min(1).max(20),
  /** The findings that the run is meant to end; sentinel repeats their checks for the verdict. */
  findings: z.array(Fingerprint).max(50),
  by: z.string().max(120),
  at: Instant,
});
export type Proposal = z.output<typeof Proposal>;

export const proposal = defineMessage({
  name: 'proposal',
  version: 1,
  payload: Proposal,
  filter: 'proposal/+',
  identify: (payload) => payload.id,
  retained: false,
  writers: ['triage', 'console'],
});
