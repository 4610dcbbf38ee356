import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { Ident } from '#bus/fields.ts';
import { Failure } from '#bus/failure.ts';
import { readDocument } from './document.ts';

const GuardianCheck = z.looseObject({
  suffix: z.string().regex(/^[a-z][a-z0-9-]{0,40}$/),
  kind: Ident,
  /** One for each host that can be looked at, or one in all. */
  each: z.enum(['host', 'site']),
});

/** A guardian that ships. */
export const Guardian = z.strictObject({
  guardian: Ident,
  title: z.string().min(1).max(80),
  about: z.string().min(1).max(600),
  cron: z.string().max(100),
  checks: z.array(GuardianCheck).max(50),
});
export type Guardian = z.output<typeof Guardian>;

const folder = fileURLToPath(new URL('./guardians/', import.meta.url));

/** The guardians that ship, by name. Throws a Failure when one of our own files is wrong. */
export function shippedGuardians(): Map<string, Guardian> {
  const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
  return new Map(
    files.toSorted().map((file) => {
      const parsed = Guardian.safeParse(readDocument(join(folder, file)).value);
      const name = file.slice(0, -5);
      if (parsed.success && parsed.data.guardian === name) return [name, parsed.data];
      const why = parsed.error?.issues[0]?.message ?? 'it calls itself something else';
      throw new Failure(`Cannot read the guardian "${file}": ${why}`, { recoverable: false });
    }),
  );
}
