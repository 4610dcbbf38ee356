import { DatabaseSync } from 'node:sqlite';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { openStore } from '../agents/runtime/store.ts';
import type { Json } from './canonical.ts';
import {
  anchorsOf,
  journalMigration,
  type JournalEntry,
  type JournalRows,
  openJournal,
  rememberAnchor,
  verifyJournal,
} from './journal.ts';

const key = Buffer.alloc(32, 7);

/** A journal whose triggers are gone, as for somebody with the file in hand. */
function tamperable(entries: readonly JournalEntry[]): { rows: JournalRows; database: DatabaseSync } {
  const database = new DatabaseSync(':memory:');
  database.exec(journalMigration);
  const rows: JournalRows = {
    run: (sql, ...values) => ({ changes: Number(database.prepare(sql).run(...values).changes) }),
    get: (sql, ...values) => database.prepare(sql).get(...values),
    all: (sql, ...values) => database.prepare(sql).all(...values),
  };
  const journal = openJournal(rows, key);
  for (const entry of entries) journal.append(entry);
  database.exec('DROP TRIGGER journal_no_update; DROP TRIGGER journal_no_delete');
  return { rows, database };
}

function entry(index: number): JournalEntry {
  return {
    at: 1_763_600_000_000 + index,
    kind: 'run',
    subject: `run-${index}`,
    body: { index, text: `step ${index}` },
  };
}
const ten = Array.from({ length: 10 }, (_, index) => entry(index + 1));

it('works inside the transaction of a store and keeps its order', () => {
  const store = openStore({ path: ':memory:', migrations: [journalMigration] });
  const journal = openJournal(store, key);
  expect(journal.head()).toEqual({ sequence: 0, head: '0'.repeat(64) });
  expect(() =>
    store.transaction(() => {
      journal.append(entry(1));
      throw new Error('the deed failed');
    }),
  ).toThrow('the deed failed');
  expect(journal.head().sequence).toBe(0);
  store.transaction(() => ten.forEach((one) => journal.append(one)));
  expect(journal.entries({ after: 3, limit: 2 }).map(({ sequence, subject }) => [sequence, subject])).toEqual([
    [4, 'run-4'],
    [5, 'run-5'],
  ]);
  expect(journal.entries()[0]).toMatchObject(entry(1));
  expect(verifyJournal(store, key, [])).toEqual({ ok: true, entries: 10 });
  store.close();
});

it('refuses UPDATE and DELETE', () => {
  const store = openStore({ path: ':memory:', migrations: [journalMigration] });
  openJournal(store, key).append(entry(1));
  expect(() => store.run("UPDATE journal SET body = '{}'")).toThrow(/append-only/);
  expect(() => store.run('DELETE FROM journal')).toThrow(/append-only/);
  store.close();
});

it('names an edited row, whatever column was edited', () => {
  for (const change of ["body = '{}'", 'at = at + 1', "kind = 'x'", "subject = 'x'", "hash = 'x'", "previous = 'x'"]) {
    const { rows, database } = tamperable(ten);
    database.exec(`UPDATE journal SET ${change} WHERE sequence = 4`);
    expect({ change, ...verifyJournal(rows, key, []) }).toEqual({ change, ok: false, sequence: 4, fault: 'edited' });
  }
});

it('names a row that was taken out of the middle', () => {
  const { rows, database } = tamperable(ten);
  database.exec('DELETE FROM journal WHERE sequence = 4');
  expect(verifyJournal(rows, key, [])).toEqual({ ok: false, sequence: 4, fault: 'missing' });
});

it('names a row that was moved, also when the others were renumbered to hide a gap', () => {
  const swapped = tamperable(ten);
  swapped.database.exec(`UPDATE journal SET sequence = 100 WHERE sequence = 4;
    UPDATE journal SET sequence = 4 WHERE sequence = 7; UPDATE journal SET sequence = 7 WHERE sequence = 100`);
  expect(verifyJournal(swapped.rows, key, [])).toEqual({ ok: false, sequence: 4, fault: 'moved', from: 7 });
  const closed = tamperable(ten);
  closed.database.exec(
    'DELETE FROM journal WHERE sequence = 4; UPDATE journal SET sequence = sequence - 1 WHERE sequence > 4',
  );
  expect(verifyJournal(closed.rows, key, [])).toEqual({ ok: false, sequence: 4, fault: 'moved', from: 5 });
});

it('names the end that is gone, by the heads that others kept', () => {
  const { rows, database } = tamperable(ten);
  const anchors = [openJournal(rows, key).head()];
  expect(verifyJournal(rows, key, anchors)).toEqual({ ok: true, entries: 10 });
  database.exec('DELETE FROM journal WHERE sequence > 7');
  expect(verifyJournal(rows, key, [])).toEqual({ ok: true, entries: 7 });
  expect(verifyJournal(rows, key, anchors)).toEqual({ ok: false, sequence: 8, fault: 'truncated' });
});

it('an end that was cut and written anew, with the key, differs from what others kept', () => {
  const { rows, database } = tamperable(ten);
  const journal = openJournal(rows, key);
  const anchors = [journal.head()];
  database.exec('DELETE FROM journal WHERE sequence = 10');
  journal.append({ ...entry(10), body: 'nothing happened' });
  journal.append(entry(11));
  expect(verifyJournal(rows, key, anchors)).toEqual({ ok: false, sequence: 10, fault: 'edited' });
});

it('rows put before the first or invented at the end are seen', () => {
  for (const [sequence, expected] of [
    [0, 0],
    [-5, -5],
    [11, 11],
  ] as const) {
    const { rows } = tamperable(ten);
    const insert =
      'INSERT INTO journal (sequence, at, kind, subject, body, previous, hash) VALUES (?, 1, ?, ?, ?, ?, ?)';
    rows.run(insert, sequence, 'run', 'x', '{}', '0'.repeat(64), '1'.repeat(64));
    expect(verifyJournal(rows, key, [])).toEqual({ ok: false, sequence: expected, fault: 'edited' });
  }
});

const anyEntry = fc.record({
  at: fc.nat(),
  kind: fc.string({ unit: 'binary' }),
  subject: fc.string({ unit: 'binary' }),
  body: fc.jsonValue() as fc.Arbitrary<Json>,
});
const anyEntries = fc.array(anyEntry, { minLength: 1, maxLength: 12 });

it('whatever was appended verifies', () => {
  fc.assert(
    fc.property(anyEntries, (entries) => {
      const { rows } = tamperable(entries);
      expect(verifyJournal(rows, key, [openJournal(rows, key).head()])).toEqual({ ok: true, entries: entries.length });
    }),
  );
});

it('any single change is found, in the row where it was made', () => {
  const column = fc.constantFrom('body', 'kind', 'subject', 'hash', 'previous');
  fc.assert(
    fc.property(anyEntries, column, fc.tuple(fc.nat(), fc.nat()), (entries, name, [which, where]) => {
      const { rows } = tamperable(entries);
      const sequence = (which % entries.length) + 1;
      const before = String(rows.get(`SELECT ${name} AS v FROM journal WHERE sequence = ?`, sequence)?.['v']);
      const at = where % (before.length + 1);
      rows.run(
        `UPDATE journal SET ${name} = ? WHERE sequence = ?`,
        `${before.slice(0, at)}~${before.slice(at)}`,
        sequence,
      );
      expect(verifyJournal(rows, key, [])).toEqual({ ok: false, sequence, fault: 'edited' });
    }),
  );
});

it('any removal is found', () => {
  fc.assert(
    fc.property(anyEntries, fc.nat(), fc.nat({ max: 5 }), (entries, which, more) => {
      const { rows } = tamperable(entries);
      const head = openJournal(rows, key).head();
      const first = (which % entries.length) + 1;
      const removed = rows.run('DELETE FROM journal WHERE sequence BETWEEN ? AND ?', first, first + more).changes;
      const fault = first + removed > entries.length ? 'truncated' : 'missing';
      expect(verifyJournal(rows, key, [head])).toEqual({ ok: false, sequence: first, fault });
    }),
  );
});

it('keeps the heads of other agents, the newest thousand of each, and the first of one length', () => {
  const { rows } = tamperable([]);
  for (let sequence = 1; sequence <= 1_010; sequence += 1) {
    rememberAnchor(rows, { agent: 'triage', sequence, head: 'a'.repeat(64), at: sequence });
  }
  rememberAnchor(rows, { agent: 'triage', sequence: 1_010, head: 'b'.repeat(64), at: 5_000 });
  rememberAnchor(rows, { agent: 'sentinel', sequence: 3, head: 'c'.repeat(64), at: 1 });
  expect(anchorsOf(rows, 'triage')).toHaveLength(1_000);
  expect(anchorsOf(rows, 'triage').at(-1)).toEqual({
    agent: 'triage',
    sequence: 1_010,
    head: 'a'.repeat(64),
    at: 1_010,
  });
  expect(anchorsOf(rows).map(({ agent }) => agent)).toContain('sentinel');
});
