import { z } from 'zod';
import { defineStep, timeLimit } from '../step.ts';

export const step = defineStep({
  kind: 'apt-clean',
  about: 'Empties the cache of downloaded packages; apt fetches again what it needs.',
  options: z.strictObject({ timeout: timeLimit('60s') }),
  render: ({ timeout }) => [{ argv: ['apt-get', 'clean'], sudo: true, timeoutMs: timeout }],
});
