import { z } from 'zod';
import { defineStep, timeLimit } from '../step.ts';

export const step = defineStep({
  kind: 'systemd-reset-and-start',
  about: 'Forgets the failures of a unit, which lifts its start limit, and starts it.',
  options: z.strictObject({
    unit: z.string().min(1).max(240).describe('Name of the unit.'),
    // Longer than systemd gives a unit to start (DefaultTimeoutStartSec, 90 s): ended before, systemctl would leave its
    // job behind.
    timeout: timeLimit('100s'),
  }),
  render: ({ unit, timeout }) => [
    { argv: ['systemctl', 'reset-failed', unit], sudo: true, timeoutMs: 15_000 },
    { argv: ['systemctl', 'start', unit], sudo: true, timeoutMs: timeout },
  ],
});
