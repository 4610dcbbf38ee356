import type { Metrics } from '#agents/runtime/metrics.ts';

/** The router's counters. Labels are names of the configuration and outcomes of a fixed set. */
export class Tally {
  readonly #metrics: Metrics;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  request(provider: string, outcome: string): void {
    const labels = { provider, outcome };
    this.#metrics.count('llm_requests_total', 'Requests to model providers by outcome', { labels });
  }

  passedOver(provider: string): void {
    this.#metrics.count('llm_failovers_total', 'Times a model provider was passed over', { labels: { provider } });
  }

  paidInstead(from: string, to: string): void {
    const labels = { from, to };
    this.#metrics.count('llm_paid_failovers_total', 'Paid answers given because a free provider failed', { labels });
  }

  spent(provider: string, euro: number): void {
    if (euro === 0) return;
    this.#metrics.count('llm_euro_total', 'Euro spent on model providers', { labels: { provider }, by: euro });
  }
}
