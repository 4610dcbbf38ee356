import { z } from 'zod';
import { defineStep, timeLimit } from '../step.ts';

export const step = defineStep({
  kind: 'journal-vacuum',
  about: 'Deletes the oldest archived journal files until the journal is small enough.',
  options: z.strictObject({
    megabytes: z
      .string()
      .regex(/^(\d+|\{[a-z][a-z0-9-]*\})$/)
      .describe('Size to shrink to.'),
    timeout: timeLimit('2m'),
  }),
  render: ({ megabytes, timeout }) => [
    { argv: ['journalctl', '--rotate'], sudo: true, timeoutMs: 30_000 },
    { argv: ['journalctl', `--vacuum-size=${megabytes}M`], sudo: true, timeoutMs: timeout },
  ],
});
