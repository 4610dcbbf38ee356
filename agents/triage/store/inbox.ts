import type { Store } from '#agents/runtime/store.ts';

export interface InboxRow {
  seq: number;
  kind: string;
  body: unknown;
}

export interface Parked {
  kind: string;
  count: number;
  /** Of the newest. */
  error: string;
}

/** What the listeners stored and the desk has not handled yet, in the order of arrival. */
export interface InboxRows {
  /** All or none. */
  add(messages: readonly { kind: string; body: unknown }[], now: number): void;
  next(limit: number): InboxRow[];
  remove(row: InboxRow): void;
  /** Set aside: handling it is a bug, and the others must not wait for it. */
  park(row: InboxRow, error: string): void;
  length(): number;
  isEmpty(): boolean;
  /** What was set aside, by kind. */
  parked(): Parked[];
}

export function inboxRows(rows: Store): InboxRows {
  return {
    add(messages, now) {
      const sql = 'INSERT INTO inbox (kind, body, received_at) VALUES (?,?,?)';
      rows.transaction(() => {
        for (const { kind, body } of messages) rows.run(sql, kind, JSON.stringify(body), now);
      });
    },
    next(limit) {
      const found = rows.all('SELECT seq, kind, body FROM inbox WHERE error IS NULL ORDER BY seq LIMIT ?', limit);
      return found.map((row) => ({
        seq: Number(row['seq']),
        kind: String(row['kind']),
        body: JSON.parse(String(row['body'])) as unknown,
      }));
    },
    remove: (row) => void rows.run('DELETE FROM inbox WHERE seq = ?', row.seq),
    park: (row, error) => void rows.run('UPDATE inbox SET error = ? WHERE seq = ?', error.slice(0, 1_000), row.seq),
    // Asked of the store each time: a number kept beside it is wrong once a transaction was rolled back.
    length: () => Number(rows.get('SELECT count(*) AS n FROM inbox WHERE error IS NULL')?.['n']),
    isEmpty: () => rows.get('SELECT 1 FROM inbox WHERE error IS NULL LIMIT 1') === undefined,
    parked: () =>
      rows
        // SQLite takes a bare column from the row that has the maximum, https://sqlite.org/lang_select.html#bareagg.
        .all('SELECT kind, error, count(*) AS n, max(seq) FROM inbox WHERE error IS NOT NULL GROUP BY kind')
        .map((row) => ({ kind: String(row['kind']), count: Number(row['n']), error: String(row['error']) })),
  };
}
