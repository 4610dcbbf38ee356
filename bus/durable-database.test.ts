import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLog } from '../test/parts/broker.ts';
import { DurableDatabase } from './durable-database.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-durable-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const schema = 'CREATE TABLE IF NOT EXISTS note (text TEXT NOT NULL)';

function open(more = ''): { database: DurableDatabase; seen: () => number } {
  const file = join(folder, 'test.db');
  const database = new DurableDatabase(file, { schema: `${more};${schema}`, log: silentLog });
  const other = new DatabaseSync(file, { readOnly: true });
  return { database, seen: () => Number(other.prepare('SELECT count(*) AS n FROM note').get()?.['n']) };
}

async function durable(database: DurableDatabase): Promise<Error | null | undefined> {
  return new Promise((resolve) => database.whenDurable(resolve));
}

it.each([0, 5_000])('a file that is damaged from byte %d on is set aside and a new one begun', (from) => {
  const { database } = open();
  for (let index = 0; index < 500; index += 1) database.write('INSERT INTO note VALUES (?)', 'x'.repeat(100));
  database.close();
  const file = join(folder, 'test.db');
  const bytes = readFileSync(file);
  bytes.fill(0xa5, from);
  writeFileSync(file, bytes);
  const again = open();
  expect(again.seen()).toBe(0);
  again.database.write('INSERT INTO note VALUES (?)', 'new');
  again.database.close();
  expect(readdirSync(folder)).toContain('test.db.damaged');
});

it('what was called back is there for everybody, and many share one commit', async () => {
  const { database, seen } = open();
  const waits = Array.from({ length: 50 }, (_, index) => {
    database.write('INSERT INTO note VALUES (?)', String(index));
    return durable(database);
  });
  expect(seen()).toBe(0);
  expect(await Promise.all(waits)).toEqual(Array.from({ length: 50 }, () => null));
  expect(seen()).toBe(50);
  database.close();
});

it('what nobody waits for is written soon', async () => {
  const { database, seen } = open();
  database.write('INSERT INTO note VALUES (?)', 'x');
  await expect.poll(seen, { timeout: 15_000 }).toBe(1);
  database.close();
});

it('on a full disk everybody who waits hears of it, and it works again when there is room', async () => {
  const { database, seen } = open('PRAGMA max_page_count=8');
  let rollbacks = 0;
  database.onRollback(() => {
    rollbacks += 1;
  });
  database.write('INSERT INTO note VALUES (?)', 'small');
  const early = durable(database);
  expect(() => database.write('INSERT INTO note VALUES (?)', 'x'.repeat(100_000))).toThrow(/full/);
  const first = await early;
  // Either SQLite kept the small one and it is there, or who waited was told.
  expect(seen()).toBe(first === null ? 1 : 0);
  expect(rollbacks).toBe(first === null ? 0 : 1);
  database.write('INSERT INTO note VALUES (?)', 'again');
  expect(await durable(database)).toBeNull();
  expect(seen()).toBe(first === null ? 2 : 1);
  database.close();
});
