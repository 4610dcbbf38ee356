import { z } from 'zod';
import { defineStep, timeLimit } from '../step.ts';

export const step = defineStep({
  kind: 'systemd-restart',
  about: 'Restarts a systemd unit and waits until systemd says that it started.',
  options: z.strictObject({
    unit: z.string().min(1).max(240).describe('Name of the unit.'),
    onlyIfRunning: z.boolean().default(false).describe('Leave a stopped unit stopped.'),
    // systemd itself gives 90 s to stop and 90 s to start (DefaultTimeoutStopSec, DefaultTimeoutStartSec): ended before,
    // systemctl would leave its job behind.
    timeout: timeLimit('200s'),
  }),
  render: ({ unit, onlyIfRunning, timeout }) => [
    { argv: ['systemctl', onlyIfRunning ? 'try-restart' : 'restart', unit], sudo: true, timeoutMs: timeout },
  ],
});
