import type { CheckContext } from '#agents/sentinel/check.ts';
import { remember } from './remembered.ts';

interface Seen {
  uptimeMs: number;
  at: number;
}

/** How unsteady the counting of an uptime may be: values that are refreshed every ten seconds, and slow answers. */
const slackMs = 60_000;

/**
 * Whether a thing began anew since the last look, by the time it says it has been up. A counter of 32 bits and hundredths
 * (sysUpTime) begins anew every 497 days: that is no restart.
 */
export function restartedSince(
  of: { key: string; uptimeMs: number; wrapsAtMs?: number },
  context: Pick<CheckContext, 'memory' | 'clock'>,
): boolean {
  const now = context.clock.now();
  const before = context.memory.get(of.key);
  remember(context.memory, of.key, { uptimeMs: of.uptimeMs, at: now });
  if (!isSeen(before) || now < before.at) return false;
  const expected = before.uptimeMs + (now - before.at);
  if (of.uptimeMs >= before.uptimeMs && of.uptimeMs >= expected - slackMs) return false;
  const wraps = of.wrapsAtMs !== undefined && Math.abs(expected - of.wrapsAtMs - of.uptimeMs) < slackMs;
  return !wraps;
}

function isSeen(value: unknown): value is Seen {
  return (
    value !== null &&
    typeof value === 'object' &&
    'uptimeMs' in value &&
    typeof value.uptimeMs === 'number' &&
    'at' in value &&
    typeof value.at === 'number'
  );
}
