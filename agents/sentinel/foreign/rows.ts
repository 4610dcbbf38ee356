import { Finding } from '#bus/messages/finding.ts';
import type { Store } from '#agents/runtime/store.ts';
import type { OpenAlert } from './source.ts';

/** Who reports which foreign alert. The findings themselves stand where all findings stand. */
export const foreignMigration = `
  CREATE TABLE foreign_claims (
    fingerprint TEXT NOT NULL, source TEXT NOT NULL, until INTEGER, grace_ms INTEGER, own INTEGER NOT NULL, alert TEXT NOT NULL,
    PRIMARY KEY (fingerprint, source)
  ) WITHOUT ROWID;`;

/** That a source reports an alert. */
export interface Claim {
  source: string;
  alert: OpenAlert;
  /** When it is over unless it is told again; undefined: when the source says so. */
  until: number | undefined;
  /** How long the source had to tell it again when it told it last. */
  graceMs: number | undefined;
  /** Said by Lares about the source. */
  isOwn: boolean;
}

export interface ClaimChange {
  fingerprint: string;
  source: string;
  /** Absent: the source reports it no more. */
  claim?: Claim;
}

export class ForeignRows {
  readonly #rows: Store;

  constructor(rows: Store) {
    this.#rows = rows;
  }

  /** Every claim with its finding, while that fires. */
  claims(): { claim: Claim; finding: Finding }[] {
    const rows = this.#rows.all(
      `SELECT c.*, f.body FROM foreign_claims c JOIN findings f ON f.fingerprint = c.fingerprint AND f.status = 'firing'`,
    );
    return rows.map((row) => ({
      claim: {
        source: String(row['source']),
        alert: JSON.parse(String(row['alert'])) as OpenAlert,
        until: row['until'] === null ? undefined : Number(row['until']),
        graceMs: row['grace_ms'] === null ? undefined : Number(row['grace_ms']),
        isOwn: Number(row['own']) === 1,
      },
      finding: Finding.parse(JSON.parse(String(row['body']))),
    }));
  }

  /** Contract: inside the transaction of the caller. */
  save(changes: readonly ClaimChange[], findings: readonly Finding[]): void {
    for (const finding of findings) {
      const { fingerprint, status } = finding;
      this.#rows.run('INSERT OR REPLACE INTO findings VALUES (?, ?, ?)', fingerprint, status, JSON.stringify(finding));
    }
    for (const { fingerprint, source, claim } of changes) {
      if (claim === undefined) {
        this.#rows.run('DELETE FROM foreign_claims WHERE fingerprint = ? AND source = ?', fingerprint, source);
        continue;
      }
      this.#rows.run(
        'INSERT OR REPLACE INTO foreign_claims VALUES (?, ?, ?, ?, ?, ?)',
        fingerprint,
        source,
        claim.until ?? null,
        claim.graceMs ?? null,
        claim.isOwn ? 1 : 0,
        JSON.stringify(claim.alert),
      );
    }
  }
}
