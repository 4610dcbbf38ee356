import { z } from 'zod';
import { cronFault, nextCronRun } from '#config/cron.ts';
import { Duration } from '#config/duration.ts';
import { LocalZone } from '#config/names.ts';

/** A time in which something that otherwise may rest is wanted. */
export const AwakeWindow = z.strictObject({
  cron: z
    .string()
    .max(100)
    .superRefine((text, context) => {
      const fault = cronFault(text);
      if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
    })
    .describe('When it begins, as a cron expression.'),
  for: Duration.describe('How long it lasts.'),
  timezone: LocalZone,
  owner: z.string().max(80).optional().describe('Who wants it then, for the messages.'),
});
export type AwakeWindow = z.output<typeof AwakeWindow>;

/** The window that is open now and has been for longest, with its beginning (epoch ms). */
export function openWindow(
  windows: readonly AwakeWindow[],
  now: number,
): { window: AwakeWindow; startedAt: number } | undefined {
  const open = windows.flatMap((window) => {
    const startedAt = nextCronRun(window.cron, window.timezone, now - window.for);
    return startedAt <= now ? [{ window, startedAt }] : [];
  });
  return open.toSorted((a, b) => a.startedAt - b.startedAt)[0];
}
