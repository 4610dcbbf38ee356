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
  /** What was set aside, by kind. */
  parked(): Parked[];
}

export function inboxRows(rows: Store): InboxRows {
  let waiting = Number(rows.get('SELECT count(*) AS n FROM inbox WHERE error IS NULL')?.['n'] ?? 0);
  return {
    add(messages, now) {
      const sql = 'INSERT INTO inbox (kind, body, received_at) VALUES (?,?,?)';
      rows.transaction(() => {
        for (const { kind, body } of messages) rows.run(sql, kind, JSON.stringify(body), now);
      });
      waiting += messages.length;
    },
    next(limit) {
      const found = rows.all('SELECT seq, kind, body FROM inbox WHERE error IS NULL ORDER BY seq LIMIT ?', limit);
      waiting = found.length < limit ? found.length : waiting;
      return found.map((row) => ({
        seq: Number(row['seq']),
        kind: String(row['kind']),
        body: JSON.parse(String(row['body'])) as unknown,
      }));
    },
    remove(row) {
      waiting = Math.max(0, waiting - rows.run('DELETE FROM inbox WHERE seq = ?', row.seq).changes);
    },
    park(row, error) {
      rows.run('UPDATE inbox SET error = ? WHERE seq = ?', error.slice(0, 1_000), row.seq);
      waiting = Math.max(0, waiting - 1);
    },
    length: () => waiting,
    parked: () =>
      rows
        // SQLite takes a bare column from the row that has the maximum, https://sqlite.org/lang_select.html#bareagg.
        .all('SELECT kind, error, count(*) AS n, max(seq) FROM inbox WHERE error IS NOT NULL GROUP BY kind')
        .map((row) => ({ kind: String(row['kind']), count: Number(row['n']), error: String(row['error']) })),
  };
}
