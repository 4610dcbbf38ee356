import { z } from 'zod';

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
    warning: value.default(of.warning).describe('Where a warning begins.'),
    critical: value.default(of.critical).describe('Where it is critical.'),
  });
}
