import { z } from 'zod';
import { defineStep, timeLimit } from '../step.ts';

export const step = defineStep({
  kind: 'docker-restart',
  about: 'Restarts a container; it has `grace` seconds to end by itself.',
  options: z.strictObject({
    container: z.string().min(1).max(128).describe('Name of the container.'),
    grace: z.number().int().min(1).max(300).default(10).describe('Seconds between SIGTERM and SIGKILL.'),
    timeout: timeLimit('90s'),
  }),
  render: ({ container, grace, timeout }) => [
    // Also starts a container that is stopped. `-t` is known to every Docker and to podman.
    { argv: ['docker', 'restart', '-t', String(grace), container], sudo: true, timeoutMs: timeout },
  ],
});
