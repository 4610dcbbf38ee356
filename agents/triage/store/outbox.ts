import type { Store } from '#agents/runtime/store.ts';
import type { Delivered, Outbound, Reference } from '../channel.ts';

export interface OutboxRow {
  channel: string;
  key: string;
  message: Outbound;
  version: number;
  attempts: number;
  reference: Reference | undefined;
  createdAt: number;
}

interface Draft {
  channel: string;
  key: string;
  message: Outbound;
}

export interface OutboxRows {
  put(draft: Draft, now: number): void;
  putOnce(draft: Draft, now: number): void;
  has(key: string): boolean;
  /** Somebody got a version of it before `at`. */
  wasSent(of: { channel: string; key: string; before: number }): boolean;
  /** Removes messages whose key begins so and that nobody got. */
  dropWaiting(prefix: string): void;
  shownPlan(channel: string, key: string): string | undefined;
  /** The next due message of a channel. It stays queued until its delivery is recorded. */
  next(channel: string, now: number): OutboxRow | undefined;
  sent(row: OutboxRow, delivered: Delivered, now: number): void;
  retry(row: OutboxRow, what: { error: string; nextAt: number }): void;
  /** Forgets where it was and sends it as new. */
  resend(row: OutboxRow, now: number): void;
  /** True when this is the first refusal of that message. */
  fail(row: OutboxRow, error: string): boolean;
  nextAt(channel: string): number | undefined;
  length(): number;
  failed(): { channel: string; key: string; error: string }[];
}

export function outboxRows(rows: Store): OutboxRows {
  return { ...draftRows(rows), ...deliveryRows(rows), ...stateRows(rows) };
}

function draftRows(rows: Store): Pick<OutboxRows, 'put' | 'putOnce' | 'has' | 'wasSent' | 'dropWaiting' | 'shownPlan'> {
  return {
    put({ channel, key, message }, now) {
      // A version that nobody has got yet rings when any of them would have; an edit never rings.
      rows.run(
        `INSERT INTO outbox (channel, key, body, silent, version, state, next_at, created_at)
         VALUES (?,?,?,?,1,'queued',?,?)
         ON CONFLICT (channel, key) DO UPDATE SET body = excluded.body, version = version + 1,
           silent = CASE WHEN sent_version = 0 THEN MIN(silent, excluded.silent) ELSE excluded.silent END,
           next_at = CASE WHEN state = 'queued' THEN next_at ELSE excluded.next_at END,
           attempts = CASE WHEN state = 'queued' THEN attempts ELSE 0 END, state = 'queued'
         WHERE body <> excluded.body OR silent > excluded.silent`,
        channel,
        key,
        bodyOf(message),
        message.silent ? 1 : 0,
        now,
        now,
      );
    },
    putOnce({ channel, key, message }, now) {
      rows.run(
        `INSERT OR IGNORE INTO outbox (channel, key, body, silent, version, state, next_at, created_at)
         VALUES (?,?,?,?,1,'queued',?,?)`,
        channel,
        key,
        bodyOf(message),
        message.silent ? 1 : 0,
        now,
        now,
      );
    },
    has: (key) => rows.get('SELECT 1 FROM outbox WHERE key = ?', key) !== undefined,
    wasSent({ channel, key, before }) {
      const sql = 'SELECT 1 FROM outbox WHERE channel = ? AND key = ? AND first_sent_at < ?';
      return rows.get(sql, channel, key, before) !== undefined;
    },
    dropWaiting: (prefix) =>
      void rows.run(
        `DELETE FROM outbox WHERE state = 'queued' AND sent_version = 0 AND substr(key, 1, length(?1)) = ?1`,
        prefix,
      ),
    shownPlan(channel, key) {
      const shown = rows.get('SELECT shown_plan FROM outbox WHERE channel = ? AND key = ?', channel, key)?.[
        'shown_plan'
      ];
      return typeof shown === 'string' ? shown : undefined;
    },
  };
}

/** `silent` has a column of its own; a change of it alone is no new version. */
function bodyOf(message: Outbound): string {
  return JSON.stringify({ ...message, silent: undefined });
}

function deliveryRows(rows: Store): Pick<OutboxRows, 'next' | 'sent' | 'retry' | 'resend' | 'fail'> {
  const set = (row: OutboxRow, sql: string, ...values: (string | number | null)[]): number =>
    rows.run(`UPDATE outbox SET ${sql} WHERE channel = ? AND key = ?`, ...values, row.channel, row.key).changes;
  return {
    next(channel, now) {
      // The plus keeps SQLite from the index of next_at, after which it would sort all that waits for each message.
      const found = rows.get(
        `SELECT * FROM outbox WHERE channel = ? AND state = 'queued' AND +next_at <= ? ORDER BY silent, created_at LIMIT 1`,
        channel,
        now,
      );
      return found === undefined ? undefined : readRow(found);
    },
    sent(row, delivered, now) {
      set(
        row,
        `state = CASE WHEN version > ? THEN 'queued' ELSE 'sent' END, sent_version = ?, attempts = 0, error = NULL,
         reference = ?, shown_plan = ?, sent_at = ?, next_at = ?, first_sent_at = COALESCE(first_sent_at, sent_at, ?)`,
        row.version,
        row.version,
        delivered.reference,
        delivered.shownPlan ?? null,
        now,
        now,
        now,
      );
    },
    retry: (row, { error, nextAt }) =>
      void set(row, `state = 'queued', attempts = attempts + 1, error = ?, next_at = ?`, error.slice(0, 600), nextAt),
    resend: (row, now) => void set(row, `state = 'queued', reference = NULL, shown_plan = NULL, next_at = ?`, now),
    fail(row, error) {
      const isFirst = rows.get(
        'SELECT 1 FROM outbox WHERE channel = ? AND key = ? AND told_failure = 0',
        row.channel,
        row.key,
      );
      set(row, `state = 'failed', error = ?, told_failure = 1`, error.slice(0, 600));
      return isFirst !== undefined;
    },
  };
}

function readRow(row: Record<string, unknown>): OutboxRow {
  const message = JSON.parse(String(row['body'])) as Outbound;
  return {
    channel: String(row['channel']),
    key: String(row['key']),
    message: { ...message, silent: Number(row['silent']) === 1 },
    version: Number(row['version']),
    attempts: Number(row['attempts']),
    reference: typeof row['reference'] === 'string' ? row['reference'] : undefined,
    createdAt: Number(row['created_at']),
  };
}

function stateRows(rows: Store): Pick<OutboxRows, 'nextAt' | 'length' | 'failed'> {
  return {
    nextAt(channel) {
      const at = rows.get(`SELECT min(next_at) AS at FROM outbox WHERE channel = ? AND state = 'queued'`, channel)?.[
        'at'
      ];
      return typeof at === 'number' ? at : undefined;
    },
    length: () => Number(rows.get(`SELECT count(*) AS n FROM outbox WHERE state = 'queued'`)?.['n'] ?? 0),
    failed() {
      return rows.all(`SELECT channel, key, error FROM outbox WHERE state = 'failed' LIMIT 20`).map((row) => ({
        channel: String(row['channel']),
        key: String(row['key']),
        error: String(row['error']),
      }));
    },
  };
}
