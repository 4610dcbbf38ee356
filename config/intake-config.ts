import { z } from 'zod';
import { Ident, Labels, Severity } from '#bus/fields.ts';
import { Duration } from './duration.ts';
import { SecretRef } from './secret-ref.ts';

/** What every intake has, whatever its kind; the other keys are the kind's own options. */
export const IntakeCommon = z.looseObject({
  kind: Ident.describe('The kind of intake: a file in agents/sentinel/intake.'),
  token: SecretRef.optional().describe(
    'What a sender shows: as bearer token, as basic password or in the address. Absent: only this machine may send.',
  ),
  resolveTimeout: Duration.optional().describe(
    'An alert that is not repeated for so long is over. Default: as the kind says; most webhooks tell the end themselves.',
  ),
  severityLabel: z.string().min(1).max(128).default('severity').describe('Label that holds the severity.'),
  severities: z
    .record(z.string().min(1).max(100), Severity)
    .default({})
    .describe('Severities by the words of the sender, before the usual ones (critical, page, warning, info...).'),
  labels: Labels.default({}).describe('Labels that its findings get beside those that were sent.'),
  mayPropose: z
    .boolean()
    .default(false)
    .describe(
      'Whether its alerts may lead to a proposed playbook, whose host, unit, container or path their labels then choose. A person approves each plan either way.',
    ),
  maximumOpen: z
    .number()
    .int()
    .min(1)
    .max(1_000)
    .default(500)
    .describe('Alerts that may be open at once; what comes beyond is left out, and one finding says so.'),
});

/** The common keys without the looseness, which would turn every key into `unknown`. */
type CommonKeys = z.output<z.ZodObject<typeof IntakeCommon.shape>>;

export interface IntakeConfig extends CommonKeys {
  /** The keys that are not common: the kind's own options, not validated here. */
  options: Record<string, unknown>;
}

/** One source of alerts: common keys checked, the kind's own keys gathered in `options`. */
export const Intake = IntakeCommon.transform((intake): IntakeConfig => {
  const options = Object.fromEntries(Object.entries(intake).filter(([key]) => !(key in IntakeCommon.shape)));
  return { ...intake, options };
});
