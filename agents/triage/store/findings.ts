import type { Store } from '#agents/runtime/store.ts';
import { Finding } from '#bus/messages/finding.ts';
import type { Held } from '../intake/reconcile.ts';

/** A held finding without its evidence is what the memory keeps; the whole is here. */
export interface FindingRows {
  save(finding: Finding, held: Held, seenAt: number): void;
  /** Newest occurrence of each fingerprint, as far as it is firing or recent. */
  load(since: number): { held: Held; finding: Finding }[];
  newest(fingerprint: string): { held: Held; finding: Finding } | undefined;
  end(held: Held, at: number): void;
  own(fingerprints: readonly string[], sentinel: string): void;
  settle(held: Held): void;
}

export function findingRows(rows: Store): FindingRows {
  return {
    save: (finding, held, seenAt) => save(rows, { finding, held, seenAt }),
    load(since) {
      const found = rows.all(
        `SELECT * FROM findings WHERE status = 'firing' OR seen_at >= ? ORDER BY starts_at`,
        since,
      );
      return found.flatMap((row) => readRow(row) ?? []);
    },
    newest(fingerprint) {
      const row = rows.get('SELECT * FROM findings WHERE fingerprint = ? ORDER BY starts_at DESC LIMIT 1', fingerprint);
      return row === undefined ? undefined : readRow(row);
    },
    end(held, at) {
      rows.run(
        `UPDATE findings SET status = 'resolved', ends_at = ? WHERE fingerprint = ? AND occurrence = ? AND status = 'firing'`,
        at,
        held.fingerprint,
        held.occurrence,
      );
    },
    own(fingerprints, sentinel) {
      for (const fingerprint of fingerprints) {
        rows.run(
          `UPDATE findings SET sentinel = ? WHERE fingerprint = ? AND status = 'firing' AND sentinel IS NOT ?`,
          sentinel,
          fingerprint,
          sentinel,
        );
      }
    },
    settle(held) {
      rows.run(
        'UPDATE findings SET settled_at = ? WHERE fingerprint = ? AND occurrence = ?',
        held.settledAt ?? null,
        held.fingerprint,
        held.occurrence,
      );
    },
  };
}

function save(rows: Store, entry: { finding: Finding; held: Held; seenAt: number }): void {
  const { finding, held } = entry;
  rows.run(
    `INSERT INTO findings (fingerprint, occurrence, status, host, severity, starts_at, ends_at, updated_at, seen_at,
       sentinel, settled_at, body) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)
     ON CONFLICT (fingerprint, occurrence) DO UPDATE SET status = excluded.status, severity = excluded.severity,
       ends_at = excluded.ends_at, updated_at = excluded.updated_at, settled_at = excluded.settled_at,
       body = excluded.body`,
    finding.fingerprint,
    finding.occurrence,
    finding.status,
    finding.host ?? null,
    finding.severity,
    held.startsAt,
    finding.endsAt === undefined ? null : Date.parse(finding.endsAt),
    held.updatedAt,
    entry.seenAt,
    held.sentinel ?? null,
    held.settledAt ?? null,
    JSON.stringify(finding),
  );
}

function readRow(row: Record<string, unknown>): { held: Held; finding: Finding } | undefined {
  const parsed = Finding.safeParse(JSON.parse(String(row['body'])));
  if (!parsed.success) return undefined;
  const held: Held = {
    fingerprint: parsed.data.fingerprint,
    occurrence: parsed.data.occurrence,
    status: row['status'] === 'firing' ? 'firing' : 'resolved',
    startsAt: Number(row['starts_at']),
    updatedAt: Number(row['updated_at']),
    sentinel: typeof row['sentinel'] === 'string' ? row['sentinel'] : undefined,
    settledAt: row['settled_at'] === null ? undefined : Number(row['settled_at']),
  };
  return { held, finding: parsed.data };
}
