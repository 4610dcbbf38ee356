import { z } from 'zod';
import { defineStep, timeLimit } from '../step.ts';

export const step = defineStep({
  kind: 'delete-old-files',
  about: 'Deletes plain files that nobody wrote to for some days, on one filesystem, following no link.',
  options: z.strictObject({
    path: z.string().min(1).max(1_000).describe('Folder; its parameter is bound to allowed roots.'),
    days: z
      .string()
      .regex(/^(\d+|\{[a-z][a-z0-9-]*\})$/)
      .describe('Whole days since the last write.'),
    timeout: timeLimit('5m'),
  }),
  render: ({ path, days, timeout }) => [
    // `-P` follows no link, also not the folder itself; `-xdev` stays on its filesystem.
    {
      argv: ['find', '-P', path, '-xdev', '-type', 'f', '-mtime', `+${days}`, '-delete'],
      sudo: true,
      timeoutMs: timeout,
    },
  ],
});
