import { z } from 'zod';
import { Ident, Labels, Severity } from '#bus/fields.ts';
import { Duration, durationOr } from './duration.ts';
import { HostName, TimeZone } from './names.ts';

/** What every check has, whatever its kind; the other keys are the kind's own options. */
export const CheckCommon = z.looseObject({
  id: HostName.describe('Unique name of the check.'),
  kind: Ident.describe('The kind of check: a file in agents/sentinel/checks.'),
  host: HostName.optional().describe('The host that it is about, and where host checks look.'),
  service: HostName.optional().describe('The service of the inventory that it is about.'),
  every: Duration.optional().describe('Interval between looks. Default 60s.'),
  cron: z.string().max(100).optional().describe('Cron expression instead of an interval.'),
  timezone: TimeZone.optional().describe("Time zone of the cron expression. Default: the machine's."),
  timeout: durationOr('10s').describe('A look that takes longer is unknown.'),
  for: Duration.optional().describe('How long a condition must hold before it fires. Default 2m, or `window`.'),
  window: z
    .strictObject({
      failures: z.number().int().min(1).max(20).describe('Bad looks that fire.'),
      of: z.number().int().min(1).max(20).describe('Looks that are counted.'),
    })
    .optional()
    .describe('Fire after so many failures of so many looks, instead of or beside `for`.'),
  keepFiringFor: durationOr('0s').describe('How long a finding goes on firing after the condition ended.'),
  clearAfter: z.number().int().min(1).max(20).default(2).describe('Good looks in a row that end a finding.'),
  unknownFor: durationOr('5m').describe('How long a check must be unable to look before that is a finding itself.'),
  severity: Severity.optional().describe('Replaces the severity that the kind gives.'),
  labels: Labels.default({}).describe('Labels that its findings get.'),
  guardian: Ident.optional().describe(
    'The guardian in whose round it is looked at, when it has neither `every` nor `cron`.',
  ),
  dependsOn: z.array(HostName).default([]).describe('Hosts, services or checks without which this one cannot be well.'),
});

/** The common keys without the looseness, which would turn every key into `unknown`. */
type CommonKeys = z.output<z.ZodObject<typeof CheckCommon.shape>>;

export interface CheckConfig extends CommonKeys {
  /** The keys that are not common: the kind's own options, not validated here. */
  options: Record<string, unknown>;
}

/** One check of the configuration: common keys checked, the kind's own keys gathered in `options`. */
export const Check = CheckCommon.transform((check): CheckConfig => {
  const options = Object.fromEntries(Object.entries(check).filter(([key]) => !(key in CheckCommon.shape)));
  return { ...check, options };
});
