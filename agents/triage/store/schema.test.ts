import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openStore, type Store } from '#agents/runtime/store.ts';
import { digestOf } from '#bus/canonical.ts';
import { triageMigrations } from './schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'lares-schema-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The first schema, as the first stores have it. */
function firstSchema(): string[] {
  const [tables = '', ...rest] = triageMigrations;
  const first = tables
    .replace(/CREATE INDEX outbox_next .*\n/, 'CREATE INDEX outbox_waiting ON outbox (channel, next_at);\n')
    .replace(/ *CREATE INDEX outbox_due .*\n/, '')
    .replace('redraw_at INTEGER, ', '')
    .replace(/ *CREATE INDEX plans_redraw .*\n/, '')
    .replace(/CREATE TABLE blocks [^;]*;/, (text) => text.replaceAll('target', 'host'));
  return [first, ...rest.slice(0, 1)];
}

/** Tables and indexes with their columns. */
function shapeOf(store: Store): unknown[] {
  return store
    .all(`SELECT s.type, s.name, c.name AS column FROM sqlite_schema s, pragma_table_info(s.name) c
    WHERE s.type = 'table' ORDER BY s.name, c.cid`)
    .concat(store.all(`SELECT name, sql FROM sqlite_schema WHERE type = 'index' ORDER BY name`));
}

test('a store of the first days becomes as a new one, and keeps its plans and blocks', () => {
  const path = join(folder, 'triage.db');
  const first = openStore({ path, migrations: firstSchema() });
  const plan = JSON.stringify({ expiresAt: '2026-11-21T13:15:00.000Z' });
  first.run(`INSERT INTO plans (id, proposal, status, created_at, body) VALUES ('p1', 'q1', 'pending', 1, ?)`, plan);
  first.run(`INSERT INTO plans (id, proposal, status, created_at, body) VALUES ('p2', 'q2', 'expired', 2, ?)`, plan);
  first.run(`INSERT INTO blocks (playbook, host, incident, at) VALUES ('restart', 'web', 'i1', 3)`);
  first.close();

  const now = openStore({ path, migrations: triageMigrations });
  const fresh = openStore({ path: ':memory:', migrations: triageMigrations });
  expect(shapeOf(now)).toEqual(shapeOf(fresh));
  expect(now.all('SELECT id, redraw_at, body FROM plans ORDER BY id')).toMatchObject([
    { id: 'p1', redraw_at: Date.parse('2026-11-21T13:15:00.000Z'), body: plan },
    { id: 'p2', redraw_at: null, body: plan },
  ]);
  expect(now.all('SELECT * FROM blocks')).toMatchObject([
    { playbook: 'restart', target: 'web', incident: 'i1', at: 3 },
  ]);
  now.close();
  fresh.close();
});

test('what has shipped is as it was: a change is a migration of its own', () => {
  expect(triageMigrations.map((sql) => digestOf(sql).slice(0, 12))).toMatchInlineSnapshot(`
    [
      "054f50ac3ce2",
      "4618f084ce95",
      "8133bc39ad4b",
      "c1dbd39a9da3",
    ]
  `);
});
