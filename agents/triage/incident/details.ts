import { z } from 'zod';
import { Assessment } from '#bus/messages/assessment.ts';
import { Evidence } from '#bus/messages/finding.ts';
import { Plan } from '#bus/messages/plan.ts';
import { Run } from '#bus/messages/run.ts';

/** What is known of an incident beside its members and its timeline: a part of the answer to `incident`. */
export const Details = z.object({
  /** What was seen of the root. */
  evidence: z.array(Evidence),
  assessment: Assessment.optional(),
  /** The newest plan, with its commands as they will run. */
  plan: Plan.pick({ id: true, title: true, risk: true, status: true, reason: true, digest: true })
    .extend({ commands: z.array(z.string()) })
    .optional(),
  run: Run.pick({ id: true, status: true, end: true, reason: true, approver: true, steps: true }).optional(),
});
export type Details = z.output<typeof Details>;
