import type { Clock } from './clock.ts';

/** A token bucket for each key. Remembers at most 10,000 keys: the one unused for longest is forgotten first. */
export interface RateLimit {
  /** True when there were so many tokens left, which are then taken. Default: one. */
  take(key: string, cost?: number): boolean;
}

const maximumKeys = 10_000;

export function createRateLimit(options: { perSecond: number; burst: number; clock: Clock }): RateLimit {
  const buckets = new Map<string, { tokens: number; at: number }>();
  return {
    take(key, cost = 1) {
      const now = options.clock.now();
      const bucket = buckets.get(key) ?? { tokens: options.burst, at: now };
      const earned = (Math.max(0, now - bucket.at) / 1_000) * options.perSecond;
      const tokens = Math.min(options.burst, bucket.tokens + earned);
      const isAllowed = tokens >= cost;
      // Deleting first moves the key to the end of the map's order: the first key is the oldest.
      buckets.delete(key);
      buckets.set(key, { tokens: isAllowed ? tokens - cost : tokens, at: now });
      const [oldest] = buckets.keys();
      if (buckets.size > maximumKeys && oldest !== undefined) buckets.delete(oldest);
      return isAllowed;
    },
  };
}
