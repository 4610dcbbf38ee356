import { z } from 'zod';
import { durationOr } from '#config/duration.ts';
import type { Limits } from './reading.ts';

const begins = 'Where a warning begins.';
const grave = 'Where it is critical.';

/**
 * `warning` and `critical` as a key of a check, each with its default; the key's own description names the unit and the
 * side. Between 1 and 100 unless the kind says otherwise.
 */
export function levels(of: { warning: number; critical: number; least?: number; most?: number }) {
  const value = z
    .number()
    .min(of.least ?? 1)
    .max(of.most ?? 100);
  return z.strictObject({
    warning: value.default(of.warning).describe(begins),
    critical: value.default(of.critical).describe(grave),
  });
}

/** The same where a limit may be absent, which never fires. */
export function someLevels(of: { warning?: number; critical?: number } = {}) {
  const limit = (given: number | undefined) =>
    given === undefined ? z.number().positive().optional() : z.number().positive().default(given);
  return z.strictObject({
    warning: limit(of.warning).describe(begins),
    critical: limit(of.critical).describe(grave),
  });
}

/** `levels` for spans of time. */
export function spans(of: { warning: string; critical: string }) {
  return z.strictObject({
    warning: durationOr(of.warning).describe(begins),
    critical: durationOr(of.critical).describe(grave),
  });
}

const SideLimits = z
  .strictObject({ warning: z.number().optional().describe(begins), critical: z.number().optional().describe(grave) })
  .refine(({ warning, critical }) => warning !== undefined || critical !== undefined, {
    error: 'must have warning, critical or both',
  });

/** The keys of what judges numbers of which only their owner knows on which side they are bad. */
export const sideOptions = {
  above: SideLimits.optional().describe('Values at or above these are bad.'),
  below: SideLimits.optional().describe('Values at or below these are bad.'),
};

export interface Sides {
  above?: z.output<typeof SideLimits> | undefined;
  below?: z.output<typeof SideLimits> | undefined;
}

/** Refuses what contradicts itself: a value is judged by one side, or by being equal. */
export function oneSided({ above, below, equals }: Sides & { equals?: unknown }): boolean {
  return [above, below, equals].filter((judge) => judge !== undefined).length <= 1;
}
export const oneSidedFault = { error: 'must not have more than one of above, below and equals' };

/** Undefined without limits on either side. */
export function limitsOf({ above, below }: Sides): Limits | undefined {
  if (above !== undefined) return { bad: 'above', ...above };
  return below === undefined ? undefined : { bad: 'below', ...below };
}
