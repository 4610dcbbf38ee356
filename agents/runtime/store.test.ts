import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { openStore, type Store } from './store.ts';

const migrations = ['CREATE TABLE entry (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT'];
let folder = '';
const opened: Store[] = [];
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-store-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const store of opened.splice(0)) store.close();
  rmSync(folder, { recursive: true, force: true });
});

const file = (): string => join(folder, 'agent', 'state.db');

function open(options: Partial<Parameters<typeof openStore>[0]> = {}): Store {
  const store = openStore({ path: file(), migrations, ...options });
  opened.push(store);
  return store;
}

function insert(store: Store, text: string): void {
  store.run('INSERT INTO entry (text) VALUES (?)', text);
}

const count = (store: Store): unknown => store.get('SELECT count(*) AS n FROM entry')?.['n'];

test('rows come back as they went in, and changes are counted', () => {
  const store = open();
  insert(store, 'ä');
  expect(store.all('SELECT text FROM entry')).toEqual([{ text: 'ä' }]);
  expect(store.run('DELETE FROM entry WHERE text = ?', 'nothing')).toEqual({ changes: 0 });
  expect(store.get('SELECT 1 AS one WHERE 0')).toBeUndefined();
});

test('the folder is made, closed to others', () => {
  open();
  expect(statSync(join(folder, 'agent')).mode & 0o077).toBe(0);
});

describe('a transaction', () => {
  test('that throws leaves nothing behind, and the store goes on', () => {
    const store = open();
    insert(store, 'before');
    expect(() =>
      store.transaction(() => {
        insert(store, 'inside');
        throw new RangeError('oops');
      }),
    ).toThrow('oops');
    insert(store, 'after');
    expect(store.all('SELECT text FROM entry').map((row) => row['text'])).toEqual(['before', 'after']);
  });

  test('inside another joins it: both or none', () => {
    const store = open();
    expect(() =>
      store.transaction(() => {
        store.transaction(() => insert(store, 'inner'));
        throw new RangeError('oops');
      }),
    ).toThrow('oops');
    expect(count(store)).toBe(0);
    expect(store.transaction(() => store.transaction(() => 5))).toBe(5);
  });

  test('that would wait is a bug and is rolled back', () => {
    const store = open();
    expect(() =>
      store.transaction(() => {
        insert(store, 'inside');
        return Promise.resolve();
      }),
    ).toThrow('must be synchronous');
    expect(count(store)).toBe(0);
  });

  test('that breaks a constraint is a bug of the caller, not a Failure', () => {
    const store = open();
    insert(store, 'same');
    expect(() => store.transaction(() => insert(store, 'same'))).toThrow(/UNIQUE/);
    expect(() => insert(store, 'same')).not.toThrow(Failure);
  });
});

describe('migrations', () => {
  const second = 'ALTER TABLE entry ADD COLUMN at INTEGER';

  test('are applied once each, in order, and keep the rows', () => {
    const store = open();
    insert(store, 'old');
    store.close();
    for (let again = 0; again < 2; again += 1) {
      const later = open({ migrations: [...migrations, second] });
      expect(later.all('SELECT text, at FROM entry')).toEqual([{ text: 'old', at: null }]);
      later.close();
    }
  });

  test('of a newer Lares are refused, and nothing is changed', () => {
    open({ migrations: [...migrations, second] }).close();
    expect(() => open()).toThrow(/was written by a newer Lares \(schema 2\); use that one/);
    expect(open({ migrations: [...migrations, second] }).get('PRAGMA user_version')).toEqual({ user_version: 2 });
  });

  test('that fail leave the version before them', () => {
    open().close();
    expect(() => open({ migrations: [...migrations, 'CREATE TABLE more (a TEXT) STRICT; nonsense'] })).toThrow(
      /syntax error/,
    );
    const store = open();
    expect(store.get("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'more'")).toEqual({ n: 0 });
  });
});

describe('what the disk refuses is a Failure that names the file', () => {
  test('a full disk is recoverable: with space again the store goes on, and nothing half-written is left', () => {
    const store = open();
    insert(store, 'before');
    store.get('PRAGMA max_page_count = 8');
    const fill = (): void =>
      store.transaction(() => {
        for (let row = 0; row < 1_000; row += 1) insert(store, `${row} ${'x'.repeat(500)}`);
      });
    expect(fill).toThrow(/^Cannot keep state: ".*state\.db" is full/);
    expect(fill).toThrow(expect.objectContaining({ recoverable: true }) as Error);
    expect(count(store)).toBe(1);
    store.get('PRAGMA max_page_count = 100000');
    fill();
    expect(count(store)).toBe(1_001);
  });

  test('a file that is no database is not recoverable', () => {
    open().close();
    writeFileSync(file(), 'this is a text of some length, and no database at all '.repeat(50));
    for (const name of readdirSync(join(folder, 'agent'))) if (name !== 'state.db') rmSync(join(folder, 'agent', name));
    expect(() => open()).toThrow(expect.objectContaining({ recoverable: false }) as Error);
  });

  test('a damaged file is not recoverable', () => {
    const store = open();
    for (let row = 0; row < 500; row += 1) insert(store, `${row} ${'x'.repeat(200)}`);
    store.close();
    truncateSync(file(), 8_192);
    expect(() => count(open())).toThrow(/is damaged; put a backup/);
  });

  test('a folder that cannot be made', () => {
    writeFileSync(join(folder, 'agent'), 'a file where the folder should be');
    expect(() => open()).toThrow(/the folder ".*agent" cannot be made: a file stands in its place$/);
  });

  test('a lock that another process holds on', { timeout: 30_000 }, () => {
    const store = open();
    const other = new DatabaseSync(file());
    other.exec('BEGIN IMMEDIATE');
    expect(() => insert(store, 'x')).toThrow(/is locked by another process$/);
    other.exec('ROLLBACK');
    other.close();
    insert(store, 'x');
    expect(count(store)).toBe(1);
  });
});

test.each(['state.db', 'state.db state.db-wal state.db-shm', '.'])(
  'what is deleted while it is open (%s) is written anew, with all that was in it',
  (names) => {
    const told: string[] = [];
    const store = open({ onRewritten: (text) => void told.push(text) });
    store.run(`INSERT INTO entry (text) VALUES ('before')`);
    for (const name of names.split(' ')) rmSync(join(folder, 'agent', name), { recursive: true, force: true });
    expect(count(store)).toBe(1);
    expect(told).toEqual([`"${file()}" was deleted while it was in use, and was written anew`]);
    store.transaction(() => store.run(`INSERT INTO entry (text) VALUES ('after')`));
    store.close();
    const texts = open()
      .all('SELECT text FROM entry ORDER BY id')
      .map(({ text }) => text);
    expect(texts).toEqual(['before', 'after']);
  },
);

test.each(['state.db.new', 'state.db-wal'])(
  'what was deleted and cannot be written anew (%s is in the way) is kept until it can',
  (name) => {
    const store = open();
    store.run(`INSERT INTO entry (text) VALUES ('before')`);
    const obstacle = join(folder, 'agent', name);
    for (const one of [file(), obstacle]) rmSync(one, { force: true });
    mkdirSync(obstacle);
    for (const work of [() => count(store), () => store.transaction(() => undefined)]) {
      expect(work).toThrow(expect.objectContaining({ name: 'Failure', recoverable: true }));
    }
    rmSync(obstacle, { recursive: true });
    expect(count(store)).toBe(1);
    store.close();
    expect(count(open())).toBe(1);
  },
);

test('closing twice is closing', () => {
  const store = open();
  store.close();
  store.close();
  chmodSync(file(), 0o600);
  expect(() => insert(store, 'x')).toThrow(/not open/);
});

test('after kill -9 every row that was committed is there', { timeout: 60_000 }, async () => {
  const program = `
    import { openStore } from ${JSON.stringify(new URL('./store.ts', import.meta.url).href)};
    const store = openStore({ path: ${JSON.stringify(file())}, migrations: ${JSON.stringify(migrations)} });
    for (let row = 0; ; row += 1) {
      store.transaction(() => store.run('INSERT INTO entry (text) VALUES (?)', String(row)));
      process.stdout.write(row + '\\n');
    }`;
  let before = 0;
  for (let round = 0; round < 3; round += 1) {
    open().run('DELETE FROM entry');
    opened.pop()?.close();
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const exited = once(child, 'exit');
    let last = -1;
    for await (const line of createInterface({ input: child.stdout })) {
      last = Number(line);
      if (last === 50 + round * 37) child.kill('SIGKILL');
    }
    await exited;
    const store = open();
    expect(Number(count(store))).toBeGreaterThanOrEqual(last + 1);
    expect(store.get('PRAGMA integrity_check')).toEqual({ integrity_check: 'ok' });
    store.close();
    before += last;
  }
  expect(before).toBeGreaterThan(150);
});
