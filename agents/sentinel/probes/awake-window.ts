import { z } from 'zod';
import { cronFault, nextCronRun } from '#config/cron.ts';
import { Duration } from '#config/duration.ts';

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
  zone: z
    .string()
    .max(60)
    .refine((zone) => isZone(zone), { error: 'must be a time zone such as Europe/Paris or UTC' })
    .default('UTC')
    .describe('IANA time zone of the cron expression.'),
  owner: z.string().max(80).optional().describe('Who wants it then, for the messages.'),
});
export type AwakeWindow = z.output<typeof AwakeWindow>;

function isZone(zone: string): boolean {
  try {
    return Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** The window that is open now and has been for longest, with its beginning (epoch ms). */
export function openWindow(
  windows: readonly AwakeWindow[],
  now: number,
): { window: AwakeWindow; startedAt: number } | undefined {
  const open = windows.flatMap((window) => {
    const startedAt = nextCronRun(window.cron, window.zone, now - window.for);
    return startedAt <= now ? [{ window, startedAt }] : [];
  });
  return open.toSorted((a, b) => a.startedAt - b.startedAt)[0];
}
