import { z } from 'zod';
import { defineStep, timeLimit } from '../step.ts';

export const step = defineStep({
  kind: 'nginx-reload',
  about: 'Reloads nginx after `nginx -t` has accepted its configuration.',
  options: z.strictObject({ timeout: timeLimit('30s') }),
  render: ({ timeout }) => [
    { argv: ['nginx', '-t'], sudo: true, timeoutMs: timeout },
    { argv: ['systemctl', 'reload', 'nginx.service'], sudo: true, timeoutMs: timeout },
  ],
});
