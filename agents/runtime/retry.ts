/** Part of a wait that is left to chance, so that many clients do not come back at once. */
const jitter = 0.2;

/**
 * The wait before the next try in milliseconds: `firstMs`, then twice as much each time, never more than `maximumMs`.
 * `attempt` counts the tries that failed, from 1. `random` gives 0 to 1, as Math.random does.
 */
export function backoff(
  { firstMs, maximumMs }: { firstMs: number; maximumMs: number },
  attempt: number,
  random: () => number = Math.random,
): number {
  const grown = Math.min(maximumMs, firstMs * 2 ** Math.max(0, attempt - 1));
  return Math.round(grown * (1 - jitter * random()));
}
