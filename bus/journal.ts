import { createHmac, timingSafeEqual } from 'node:crypto';
import { canonical, type Json } from './canonical.ts';

/**
 * An append-only table whose rows are chained with a keyed hash, and what is known of other agents' chains. The
 * triggers stop mistakes; the chain shows what somebody with the file in hand has done.
 */
export const journalMigration = `
  CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    body TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
  ) STRICT;
  CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
  CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
  CREATE TABLE journal_anchor (
    agent TEXT NOT NULL, sequence INTEGER NOT NULL, head TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (agent, sequence)
  ) STRICT;
`;

/** What a journal needs of a store; the agents' `Store` fits. */
export interface JournalRows {
  run(sql: string, ...values: (string | number)[]): { changes: number };
  get(sql: string, ...values: (string | number)[]): Record<string, unknown> | undefined;
  all(sql: string, ...values: (string | number)[]): Record<string, unknown>[];
}

export interface JournalEntry {
  /** Epoch milliseconds. */
  at: number;
  kind: string;
  /** What it is about: an incident, a plan, a run. */
  subject: string;
  body: Json;
}

interface JournalRow extends JournalEntry {
  sequence: number;
  hash: string;
}

export interface JournalHead {
  sequence: number;
  head: string;
}

export interface Journal {
  /** Joins the transaction of the caller, so that what happened and its record stand or fall together. */
  append(entry: JournalEntry): void;
  /** `emptyHead` while there are no entries. */
  head(): JournalHead;
  entries(range?: { after?: number; limit?: number }): JournalRow[];
}

/** A head as another agent, the digest or a person kept it. */
interface Anchor extends JournalHead {
  agent: string;
  at: number;
}

const genesis = '0'.repeat(64);
/** The head of a journal without entries. */
export const emptyHead: JournalHead = { sequence: 0, head: genesis };
const defaultLimit = 1_000;
const page = 1_000;
/** Anchors kept of each agent: enough to narrow down when a journal was cut, few enough to forget about. */
const keptAnchors = 1_000;

export function openJournal(rows: JournalRows, key: Buffer): Journal {
  return {
    append({ at, kind, subject, body }) {
      const { sequence, head } = headOf(rows);
      const link: Link = {
        previous: head,
        sequence: sequence + 1,
        at,
        // SQLite replaces lone surrogates, and the hash must be over what can be read back.
        kind: kind.toWellFormed(),
        subject: subject.toWellFormed(),
        body: canonical(body),
      };
      rows.run(
        'INSERT INTO journal (previous, sequence, at, kind, subject, body, hash) VALUES (?, ?, ?, ?, ?, ?, ?)',
        ...Object.values(link),
        hashOf(key, link),
      );
    },
    head: () => headOf(rows),
    entries: ({ after = 0, limit = defaultLimit } = {}) =>
      rowsAfter(rows, after, limit).map(({ link, hash }) => ({
        sequence: link.sequence,
        at: link.at,
        kind: link.kind,
        subject: link.subject,
        body: JSON.parse(link.body) as Json,
        hash,
      })),
  };
}

/** Keeps the head of an agent's journal, as its health message says it. The first head of a length stays. */
export function rememberAnchor(rows: JournalRows, anchor: Anchor): void {
  const { agent, sequence, head, at } = anchor;
  const insert = 'INSERT OR IGNORE INTO journal_anchor (agent, sequence, head, at) VALUES (?, ?, ?, ?)';
  rows.run(insert, agent, sequence, head, at);
  const prune = `DELETE FROM journal_anchor WHERE agent = ? AND sequence <= (
    SELECT sequence FROM journal_anchor WHERE agent = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)`;
  rows.run(prune, agent, agent, keptAnchors);
}

export function anchorsOf(rows: JournalRows, agent?: string): Anchor[] {
  return rows
    .all('SELECT agent, sequence, head, at FROM journal_anchor ORDER BY agent, sequence')
    .map((row) => ({
      agent: String(row['agent']),
      sequence: Number(row['sequence']),
      head: String(row['head']),
      at: Number(row['at']),
    }))
    .filter((anchor) => agent === undefined || anchor.agent === agent);
}

type JournalFault =
  /** The row is not what was written. */
  | 'edited'
  /** No row has this number, and later ones exist. */
  | 'missing'
  /** The row was written under another number, `from`. */
  | 'moved'
  /** The end is gone: somebody remembers a head beyond the last row. */
  | 'truncated';

type JournalVerdict =
  | { ok: true; entries: number }
  | { ok: false; sequence: number; fault: JournalFault; from?: number };

/**
 * Reads the whole journal and names the first row that is wrong. `anchors` are heads of this journal that others kept:
 * without them a journal that lost its end cannot be told from a shorter one.
 */
export function verifyJournal(
  rows: JournalRows,
  key: Buffer,
  anchors: readonly Pick<Anchor, 'sequence' | 'head'>[],
): JournalVerdict {
  const heads = Map.groupBy(anchors, (anchor) => anchor.sequence);
  let last = { sequence: 0, hash: genesis };
  // From the very lowest number, so that rows put before the first are seen.
  for (let after = Number.MIN_SAFE_INTEGER; ; after = last.sequence) {
    const chunk = rowsAfter(rows, after, page);
    if (chunk.length === 0) break;
    for (const row of chunk) {
      const fault = faultIn(row, last, key) ?? anchorFault(row, heads.get(row.link.sequence) ?? []);
      if (fault !== undefined) return fault.fault === 'edited' ? movedOrEdited(rows, key, { row, fault }) : fault;
      last = { sequence: row.link.sequence, hash: row.hash };
    }
  }
  const longest = Math.max(0, ...heads.keys());
  if (longest > last.sequence) return { ok: false, sequence: last.sequence + 1, fault: 'truncated' };
  return { ok: true, entries: last.sequence };
}

/** What the hash of a row covers, in this order. */
interface Link {
  previous: string;
  sequence: number;
  at: number;
  kind: string;
  subject: string;
  body: string;
}

interface Row {
  link: Link;
  hash: string;
}

type Fault = JournalVerdict & { ok: false };

function faultIn({ link, hash }: Row, last: { sequence: number; hash: string }, key: Buffer): Fault | undefined {
  const expected = last.sequence + 1;
  if (link.sequence < expected) return { ok: false, sequence: link.sequence, fault: 'edited' };
  if (link.sequence !== expected) return { ok: false, sequence: expected, fault: 'missing' };
  if (!sameHash(hashOf(key, link), hash)) return { ok: false, sequence: expected, fault: 'edited' };
  // The row itself is genuine, so it is the one before it that was replaced, by somebody who has the key.
  if (link.previous !== last.hash) return { ok: false, sequence: Math.max(1, last.sequence), fault: 'edited' };
  return undefined;
}

function anchorFault({ link, hash }: Row, anchors: readonly { head: string }[]): Fault | undefined {
  const differs = anchors.some((anchor) => anchor.head !== hash);
  return differs ? { ok: false, sequence: link.sequence, fault: 'edited' } : undefined;
}

/** A row whose hash is right under another number is a genuine one in the wrong place. */
function movedOrEdited(rows: JournalRows, key: Buffer, { row, fault }: { row: Row; fault: Fault }): Fault {
  const count = Number(rows.get('SELECT max(sequence) AS n FROM journal')?.['n'] ?? 0);
  // Rows may have been deleted and the rest renumbered, so numbers beyond the last are tried too.
  for (let from = 1; from <= count * 2 + keptAnchors; from += 1) {
    if (from === row.link.sequence) continue;
    if (sameHash(hashOf(key, { ...row.link, sequence: from }), row.hash)) {
      return { ok: false, sequence: row.link.sequence, fault: 'moved', from };
    }
  }
  return fault;
}

function hashOf(key: Buffer, link: Link): string {
  const hmac = createHmac('sha256', key);
  const fields = [link.previous, String(link.sequence), String(link.at), link.kind, link.subject, link.body];
  for (const field of fields) {
    const bytes = Buffer.from(field);
    // With its length before it, no field can lend a part of itself to the next.
    hmac.update(`${bytes.length}:`).update(bytes);
  }
  return hmac.digest('hex');
}

function sameHash(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

function headOf(rows: JournalRows): JournalHead {
  const row = rows.get('SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1');
  return row === undefined ? emptyHead : { sequence: Number(row['sequence']), head: String(row['hash']) };
}

function rowsAfter(rows: JournalRows, after: number, limit: number): Row[] {
  const sql = `SELECT sequence, at, kind, subject, body, previous, hash FROM journal
    WHERE sequence > ? ORDER BY sequence LIMIT ?`;
  return rows.all(sql, after, limit).map((row) => ({
    link: {
      previous: String(row['previous']),
      sequence: Number(row['sequence']),
      at: Number(row['at']),
      kind: String(row['kind']),
      subject: String(row['subject']),
      body: String(row['body']),
    },
    hash: String(row['hash']),
  }));
}
