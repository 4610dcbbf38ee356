import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import { createLog } from '#agents/runtime/log.ts';
import { History } from './history.ts';
import { Keeping } from './keeping.ts';
import { openReplaceable, type Replaced } from './replaceable-store.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-replaceable-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const migrations = ['CREATE TABLE small (text TEXT); CREATE TABLE large (text TEXT);'];
const file = () => join(folder, 'history.db');

/** One page of 4 kB; the first has number 1. */
function spoil(path: string, page: number): void {
  const open = openSync(path, 'r+');
  writeSync(open, Buffer.alloc(4_096, 0xab), 0, 4_096, (page - 1) * 4_096);
  closeSync(open);
}

test('what the damage does not touch is taken over', () => {
  const replaced: Replaced[] = [];
  const open = () =>
    openReplaceable({ path: file(), migrations, salvage: ['small'] }, (what) => void replaced.push(what));
  const before = open();
  before.run(`INSERT INTO small VALUES ('ping')`);
  for (let index = 0; index < 200; index += 1) before.run('INSERT INTO large VALUES (?)', 'x'.repeat(1_000));
  before.run('PRAGMA wal_checkpoint(TRUNCATE)');
  const root = Number(before.get(`SELECT rootpage FROM sqlite_schema WHERE name = 'large'`)?.['rootpage']);
  before.close();
  spoil(file(), root);
  const after = open();
  expect(() => after.all('SELECT * FROM large')).toThrow('is damaged');
  expect(after.all('SELECT * FROM large')).toEqual([]);
  expect(after.all('SELECT text FROM small').map(({ text }) => text)).toEqual(['ping']);
  expect(replaced).toEqual([{ aside: `${file()}.damaged`, lost: [] }]);
  after.close();
});

test('what is no database gives nothing, and is set aside once', () => {
  writeFileSync(file(), 'no database '.repeat(1_000));
  const replaced: Replaced[] = [];
  const store = openReplaceable({ path: file(), migrations, salvage: ['small'] }, (what) => void replaced.push(what));
  store.run(`INSERT INTO small VALUES ('new')`);
  store.close();
  expect(replaced).toEqual([{ aside: `${file()}.damaged`, lost: ['small'] }]);
  expect(existsSync(`${file()}.damaged`)).toBe(true);
});

test('a heartbeat whose pings were lost is not known, until it comes', () => {
  writeFileSync(file(), 'no database '.repeat(1_000));
  const keeping = new Keeping({ clock: systemClock, log: createLog({ level: 'silent', name: 'test' }) });
  const history = new History(folder, { clock: systemClock, keeping });
  expect(() => history.knownPing('backup')).toThrow('Cannot tell when "backup" came');
  history.ping('backup', { at: 1, kind: 'success', body: '' });
  expect(history.knownPing('backup')).toMatchObject({ at: 1 });
  history.close();
});
