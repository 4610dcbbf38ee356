import type { Finding } from '#bus/messages/finding.ts';

/** What the bus says of findings, as far as plans need it: not stored, the retained topics are there at each start. */
export class FindingBook {
  readonly #firing = new Map<string, string>();
  readonly #over = new Set<string>();

  /** Returns true when the finding has just ended. */
  take(finding: Pick<Finding, 'fingerprint' | 'status' | 'labels' | 'kind'>): boolean {
    if (finding.status === 'resolved') return this.end(finding.fingerprint);
    this.#firing.set(finding.fingerprint, finding.labels['alertname'] ?? finding.kind);
    this.#over.delete(finding.fingerprint);
    return false;
  }

  end(fingerprint: string): boolean {
    this.#firing.delete(fingerprint);
    if (this.#over.size > maximumOver) this.#over.clear();
    this.#over.add(fingerprint);
    return true;
  }

  /** The names of those that are known to fire. */
  alertnames(fingerprints: readonly string[]): string[] {
    return [...new Set(fingerprints.flatMap((fingerprint) => this.#firing.get(fingerprint) ?? []))].toSorted();
  }

  /** True when all of them were seen to end. One that was never heard of may still fire. */
  areOver(fingerprints: readonly string[]): boolean {
    return fingerprints.length > 0 && fingerprints.every((fingerprint) => this.#over.has(fingerprint));
  }
}

/** Enough for the findings of all plans that wait; forgetting only means that a plan is not withdrawn early. */
const maximumOver = 5_000;
