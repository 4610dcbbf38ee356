/** How long to wait between two tries. */
export interface BackoffOptions {
  firstMs: number;
  maximumMs: number;
  /** Growth from one try to the next. Default 2. */
  factor?: number;
  /** Part of the wait that is left to chance, 0 to 1, so that many clients do not come back at once. Default 0.2. */
  jitter?: number;
}

/**
 * The wait before the next try in milliseconds: never more than `maximumMs`. `attempt` counts the tries that failed,
 * from 1. `random` gives 0 to 1, as Math.random does.
 */
export function backoff(options: BackoffOptions, attempt: number, random: () => number = Math.random): number {
  const { firstMs, maximumMs, factor = 2, jitter = 0.2 } = options;
  const grown = Math.min(maximumMs, firstMs * factor ** Math.max(0, attempt - 1));
  return Math.round(grown * (1 - jitter * random()));
}
