import { z } from 'zod';
import { durationOr } from '#config/duration.ts';
import { defineStep } from '../step.ts';

/**
 * $1 folder, $2 days. The shell stands in the folder before it asks where that is, and `find` starts from there: who may
 * write above it can put a link in its place at any moment, and only what the shell holds open stays the same. `find` is
 * not the last word, so that the shell stays beside it and can be found by its command line.
 */
const script =
  'if cd -P -- "$1" && test "$(pwd -P)" = "$1"; then find . -xdev -type f -mtime "+$2" -delete; exit; fi; ' +
  'echo "$1 lies behind a link or is no folder" >&2; exit 1';

export const step = defineStep({
  kind: 'delete-old-files',
  about: 'Deletes plain files that nobody wrote to for some days, on one filesystem, following no link.',
  options: z.strictObject({
    path: z.string().min(1).max(1_000).describe('Folder; its parameter is bound to allowed roots.'),
    days: z
      .string()
      .regex(/^(\d+|\{[a-z][a-z0-9-]*\})$/)
      .describe('Whole days since the last write.'),
    timeout: durationOr('5m').describe('Time after which the host itself ends it.'),
  }),
  render: ({ path, days, timeout }) => [
    { argv: ['sh', '-c', script, 'lares', path, days], sudo: true, timeoutMs: timeout },
  ],
});
