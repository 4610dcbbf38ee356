import {
  closeSync,
  copyFileSync,
  openSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { headFault, parseDatabases } from '#agents/sentinel/probes/sqlite.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { Folder } from '../../../test/parts/command.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './sqlite.ts';

kindContract(check, () => ({ path: '/srv/app/app.db' }));

const head = (of: { pages: number; counters?: [number, number] }): string => {
  const data = Buffer.alloc(100);
  data.write('SQLite format 3\0');
  data.writeUInt16BE(4_096, 16);
  const [written = 7, kept = 7] = of.counters ?? [];
  data.writeUInt32BE(written, 24);
  data.writeUInt32BE(of.pages, 28);
  data.writeUInt32BE(kept, 92);
  return data.toString('hex');
};

describe('what the script prints', () => {
  test.each([
    ['a database', { bytes: 8_192, head: head({ pages: 2 }) }, undefined],
    ['one cut off', { bytes: 4_096, head: head({ pages: 2 }) }, 'has 4096 of 8192 bytes: its end is cut off'],
    ['one whose count is not kept', { bytes: 4_096, head: head({ pages: 2, counters: [7, 6] }) }, undefined],
    ['nothing', { bytes: 0, head: '' }, 'is empty'],
    [
      'another file',
      { bytes: 4_096, head: 'ff'.repeat(100) },
      'does not begin as a database does: it was overwritten, or is encrypted',
    ],
    ['a stump', { bytes: 50, head: head({ pages: 1 }).slice(0, 100) }, 'ends within its head'],
  ])('%s is told by its head', (_name, of, fault) => {
    expect(headFault({ path: '/a.db', logBytes: 0, ...of })).toBe(fault);
  });

  test('of strangers moves no line to another database', () => {
    const lines = [
      'file 1 10 0 /a.db',
      'head 1 zz',
      'said 1 0 ok',
      'said 2 0 ok',
      'file x',
      'file 3 1 0 relative',
      'none a',
      'none b',
    ];
    expect(parseDatabases(lines)).toEqual({
      databases: [{ path: '/a.db', bytes: 10, logBytes: 0, pages: { is: 'sound' } }],
      none: 'a',
    });
  });

  test.each([
    ['toolless 1', 'unknown sqlite-damaged /a.db: "sqlite3" is not installed there'],
    ['said 1 124 ', 'unknown sqlite-damaged /a.db: reading its pages took too long'],
    ['late 1', 'unknown sqlite-damaged /a.db: there was no time left for it'],
    [
      'said 1 11 Error: database disk image is malformed (11)',
      'critical sqlite-damaged: /a.db is damaged: Error: database disk image is malformed (11)',
    ],
  ])('%s', async (line, problem) => {
    const text = `file 1 4096 0 /a.db\nhead 1 ${head({ pages: 1 })}\n${line}`;
    const probe = answering(sectionsText({ databases: text, done: '' }));
    const found = await check.observe(check.options.parse({ path: '/a.db' }), checkContext({ probe }));
    expect(problems(found)).toEqual([problem]);
  });
});

describeWith(['sqlite3'], 'databases of SQLite', () => {
  let folder: Folder;
  let path: string;
  let now: number;
  let context: CheckContext;
  const open: DatabaseSync[] = [];
  beforeEach(() => {
    folder = new Folder();
    path = join(folder.path, 'work space%1?#.db');
    now = Date.parse('2026-11-20T12:00:00Z');
    const base = checkContext();
    context = { ...base, clock: { ...base.clock, now: () => now } };
  });
  afterEach(() => {
    for (const database of open.splice(0)) database.close();
    folder[Symbol.dispose]();
  });

  function fill(mode: 'wal' | 'delete'): DatabaseSync {
    const database = new DatabaseSync(path);
    open.push(database);
    database.exec(`PRAGMA journal_mode=${mode}; CREATE TABLE t(a TEXT); CREATE INDEX i ON t(a);`);
    database.exec(
      "INSERT INTO t WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c LIMIT 2000) SELECT hex(n)||'secret' FROM c",
    );
    return database;
  }

  function close(): void {
    open.pop()?.close();
  }

  const look = (options: object = {}): Promise<Observation[]> =>
    check.observe(check.options.parse({ path: path.replace('?', '*'), ...options }), context);
  const summaries = async (options: object = {}): Promise<string[]> =>
    (await look(options)).map(({ summary }) => summary);

  test.each(['wal', 'delete'] as const)('in use, with journal mode %s, are sound', async (mode) => {
    fill(mode);
    expect(problems(await look())).toEqual([]);
    expect((await summaries())[1]).toMatch(/is sound \(\d/);
  });

  test('that nobody has open are read without a trace beside them', async () => {
    fill('wal');
    close();
    const before = statSync(path).mtimeMs;
    expect((await summaries())[1]).toContain('is sound');
    expect(readdirSync(folder.path)).toEqual(['work space%1?#.db']);
    expect(statSync(path).mtimeMs).toBe(before);
  });

  test('damaged inside are critical, show no content, and are well again when they are mended', async () => {
    fill('delete');
    close();
    copyFileSync(path, `${path}.copy`);
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(4_096, 0x5a), 0, 4_096, 8_192);
    closeSync(file);
    const found = await look();
    expect(problems(found)).toEqual([expect.stringMatching(/^critical sqlite-damaged: .* is damaged: /)]);
    expect(JSON.stringify(found)).not.toContain('secret');
    const bad = found.find(({ condition }) => condition === 'sqlite-damaged');
    if (bad === undefined) throw new Error('nothing was told');
    const evidence = await check.evidence.gather(check.options.parse({ path }), context, bad);
    expect(evidence.map(({ title }) => title)).toEqual([expect.stringContaining('Pages of'), 'Files']);
    copyFileSync(`${path}.copy`, path);
    expect(problems(await look())).toEqual([]);
  });

  test('that were cut off, emptied, overwritten or lost are critical without reading pages', async () => {
    fill('delete');
    close();
    truncateSync(path, 8_192);
    const only = { pages: false };
    expect((await summaries(only))[1]).toContain('its end is cut off');
    truncateSync(path, 0);
    expect((await summaries(only))[1]).toContain('is empty');
    writeFileSync(path, 'GITCRYPT'.repeat(100));
    expect((await summaries(only))[1]).toContain('does not begin as a database does');
    const [lost] = await look({ path: join(folder.path, 'other.db') });
    expect(lost).toMatchObject({ condition: 'sqlite-missing', reading: { is: 'state', ok: false } });
  });

  test('that somebody holds for himself are unknown, and read with the next look', async () => {
    const database = fill('delete');
    database.exec('BEGIN EXCLUSIVE');
    expect(problems(await look())).toEqual([expect.stringMatching(/^unknown sqlite-damaged .*locked/)]);
    database.exec('COMMIT');
    expect(problems(await look())).toEqual([]);
  });

  test('have their pages read once a day, and large ones never', async () => {
    fill('delete');
    close();
    expect(problems(await look())).toEqual([]);
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(4_096, 0x5a), 0, 4_096, 8_192);
    closeSync(file);
    now += 3_600_000;
    expect(problems(await look())).toEqual([]);
    now += 86_400_000;
    expect(problems(await look())).toHaveLength(1);
    context = { ...checkContext(), clock: context.clock };
    expect((await summaries({ pagesUpTo: 0.01 }))[1]).toContain('pages are read up to 0.01 MiB');
  });

  test('with a log that only grows are a warning', async () => {
    fill('wal');
    const log = (await look({ logAbove: 0.01 })).find(({ condition }) => condition === 'sqlite-log-large');
    expect(log?.reading).toMatchObject({ is: 'level', unit: 'MiB', warning: { trigger: 0.01 } });
    expect(log?.reading.is === 'level' && log.reading.value).toBeGreaterThan(0.01);
  });
});
