import { z } from 'zod';
import { durationOr, parseDuration } from '#config/duration.ts';
import type { Limits } from './reading.ts';

const begins = 'Where a warning begins.';
const grave = 'Where it is critical.';

interface Pair {
  warning?: number | undefined;
  critical?: number | undefined;
}

/** Refuses limits of which none is there: they would watch nothing. */
export function hasLimit({ warning, critical }: Pair): boolean {
  return warning !== undefined || critical !== undefined;
}
export const hasLimitFault = { error: 'must have warning, critical or both' };

/** Whether critical lies on that side of the warning: beyond it, where more is worse, or before. */
function inOrder({ warning, critical }: Pair, isMoreWorse: boolean): boolean {
  if (warning === undefined || critical === undefined) return true;
  return isMoreWorse ? warning <= critical : warning >= critical;
}
const orderFault = { error: 'would be critical before it is a warning: write both in their order' };

/**
 * `warning` and `critical` as a key of a check, each with its default; the key's own description names the unit and the
 * side. Between 1 and 100 unless the kind says otherwise.
 */
export function levels(of: { warning: number; critical: number; least?: number; most?: number }) {
  const value = z
    .number()
    .min(of.least ?? 1)
    .max(of.most ?? 100);
  return z
    .strictObject({
      warning: value.default(of.warning).describe(begins),
      critical: value.default(of.critical).describe(grave),
    })
    .refine((limits) => inOrder(limits, of.warning <= of.critical), orderFault);
}

/** The same where more is worse and a limit may be absent, which never fires. */
export function someLevels(of: { warning?: number; critical?: number } = {}) {
  const limit = (given: number | undefined) =>
    given === undefined ? z.number().positive().optional() : z.number().positive().default(given);
  return z
    .strictObject({ warning: limit(of.warning).describe(begins), critical: limit(of.critical).describe(grave) })
    .refine((limits) => inOrder(limits, true), orderFault);
}

/** `levels` for spans of time. */
export function spans(of: { warning: string; critical: string }) {
  const isMoreWorse = (parseDuration(of.warning) ?? 0) <= (parseDuration(of.critical) ?? 0);
  return z
    .strictObject({
      warning: durationOr(of.warning).describe(begins),
      critical: durationOr(of.critical).describe(grave),
    })
    .refine((limits) => inOrder(limits, isMoreWorse), orderFault);
}

const SideLimits = z
  .strictObject({ warning: z.number().optional().describe(begins), critical: z.number().optional().describe(grave) })
  .refine(hasLimit, hasLimitFault);

/** The keys of what judges numbers of which only their owner knows on which side they are bad. */
export const sideOptions = {
  above: SideLimits.refine((limits) => inOrder(limits, true), orderFault)
    .optional()
    .describe('Values at or above these are bad.'),
  below: SideLimits.refine((limits) => inOrder(limits, false), orderFault)
    .optional()
    .describe('Values at or below these are bad.'),
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
