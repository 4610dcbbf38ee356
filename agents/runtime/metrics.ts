/** Prometheus text exposition, version 0.0.4. Names get the prefix `lares_`. */
export interface Metrics {
  /** Adds to a counter; `labels` with bounded values only. */
  count(name: string, help: string, options?: { labels?: Record<string, string>; by?: number }): void;
  /** Sets a gauge; the last value stays. */
  gauge(name: string, help: string, options: { labels?: Record<string, string>; value: number }): void;
  /** The whole page. */
  exposition(): string;
}
