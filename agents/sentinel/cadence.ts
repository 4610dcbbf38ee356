import { nextCronRun } from '#config/cron.ts';

/** Enough runs to see past a weekend in `0 3 * * 1-5`. */
const runsLookedAt = 8;
const dayMs = 86_400_000;

/** The longest gap between the next runs of a valid cron expression, in ms; a day for one that hardly ever runs. */
export function gapOf(cron: { expression: string; timezone: string; from: number }): number {
  let longest = 0;
  let at = cron.from;
  for (let run = 0; run < runsLookedAt; run++) {
    const next = nextCronRun(cron.expression, cron.timezone, at);
    if (!Number.isFinite(next)) break;
    if (run > 0) longest = Math.max(longest, next - at);
    at = next;
  }
  return longest === 0 ? dayMs : longest;
}
