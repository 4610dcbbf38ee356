import { z } from 'zod';
import { Ident } from '#bus/fields.ts';
import { isTimeZone, machineZone } from './time-zone.ts';

/** The name of a host, a service, a check: safe in topics, file names and commands. */
export const HostName = Ident.regex(
  /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
  'must be letters, digits, dots, dashes or underscores',
);
export const Port = z.number().int().min(1).max(65_535).describe('TCP port.');
export const TimeZone = z
  .string()
  .refine((zone) => isTimeZone(zone), { error: 'must be a time zone such as Europe/Paris or UTC' })
  .describe('IANA time zone.');
export const LocalZone = TimeZone.optional()
  .transform((zone) => zone ?? machineZone())
  .describe("IANA time zone. Default: the machine's.");
export const TimeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time of day such as 07:30');
