import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ChatMessage } from '../parts/telegram.ts';
import { runCommand } from '../parts/command.ts';
import { House } from './house.ts';

const minute = 60_000;
const day = 24 * 60 * minute;
const heartbeat = { kind: 'heartbeat', host: 'nas', grace: '1m', every: '5s', clearAfter: 1 };
const config = {
  hosts: { nas: { via: 'local' } },
  checks: [
    { ...heartbeat, id: 'backup', ping: 'backup', period: '5m' },
    { ...heartbeat, id: 'mirror', ping: 'mirror', period: '5m' },
    { ...heartbeat, id: 'photos', ping: 'photos', period: '30d' },
  ],
  digest: { at: '07:00', timezone: 'UTC' },
};

describe('a night with two incidents, one of them over', () => {
  let house: House;
  beforeAll(async () => {
    house = await House.open({ config, startAt: Date.parse('2026-11-20T06:30:00Z') });
    for (const name of ['backup', 'mirror', 'photos']) await house.ping(name);
    await house.until(() => house.messages().length === 2, 'both to be missed');
    await house.ping('backup');
    await house.until(() => house.messages().some(({ text }) => text.includes('resolved')), 'one to be over');
    for (let pings = 0; house.clock.now() < Date.parse('2026-11-20T06:59:00Z'); pings += 1) {
      await house.ping('backup');
      await house.pass(2 * minute, 5_000);
    }
  });
  afterAll(() => house[Symbol.asyncDispose]());

  test('is told at its time, once, with counts that are true', async () => {
    await house.until(() => digests(house).length > 0, 'the digest');
    expect(new Date(house.clock.now()).toISOString()).toMatch(/T07:0[0-2]/);
    const [digest] = digests(house);
    expect(digest?.text).toContain('Lares digest, 2026-11-20 06:30 to 2026-11-20 07:0');
    expect(digest?.text).toContain('1 incident is open.');
    expect(digest?.text).toContain('Incidents: 2 opened, 1 over. Findings: 2, 0 folded away.');
    expect(digest?.text).toMatch(/3 checks on 1 host: 2 ok, 0 pending, 1 firing, 0 unknown, 0 stale/);
    expect(digest?.text).toMatch(/Open now\n {2}critical .*heartbeat "mirror"/);
    expect(digest?.text).toMatch(/Came and went\n {2}06:3\d critical .*heartbeat "backup"/);
    expect(digest?.text).toContain('Models: none configured, rules only');
    expect(digest?.text).toMatch(/Journal heads\n {2}triage \d+ [0-9a-f]{32}/);
    expect(digest?.silent).toBe(true);
    await house.pass(5 * minute, 5_000);
    expect(digests(house)).toHaveLength(1);
  });

  test('is the same on demand in Telegram and on the command line', async () => {
    house.anna.say('/digest');
    await house.until(() => digests(house).length === 2, 'the answer');
    const answer = digests(house).at(-1)?.text ?? '';
    const { status, stdout } = await runCommand(['digest', '-c', house.configFile], { cwd: house.folder });
    expect(status).toBe(0);
    // The journal goes on: what was just delivered is an entry of its own.
    const facts = (text: string): string => text.slice(0, text.indexOf('Journal heads')).trim();
    expect(facts(stdout)).toBe(facts(answer));
    const json = await runCommand(['digest', '--json', '-c', house.configFile], { cwd: house.folder });
    expect(facts((JSON.parse(json.stdout) as { text: string }).text)).toBe(facts(answer));
  });

  test('the record of it is whole', async () => {
    const { status, stdout } = await audit(house);
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^triage: \d+ entries, chain whole$/m) as string,
    });
  });

  test('nights without Lares are caught up by one digest that names them', async () => {
    const before = digests(house).length;
    await house.stop();
    await house.clock.advance(3 * day);
    await house.start();
    await house.until(() => digests(house).length > before, 'the digest that was missed');
    await house.pass(5 * minute, 5_000);
    expect(digests(house)).toHaveLength(before + 1);
    expect(digests(house).at(-1)?.text).toContain('the digest of 2026-11-21, 2026-11-22');
  });

  test('an edited row of the journal is named', async () => {
    await house.pass(3 * minute, 5_000);
    await house.stop();
    using edited = new Database(house);
    const row = edited.row("kind = 'delivery'");
    edited.force(`UPDATE journal SET body = replace(body, 'telegram', 'nobody') WHERE sequence = ${row}`);
    const { status, stdout } = await audit(house);
    expect({ status, stdout }).toEqual({
      status: 1,
      stdout: expect.stringContaining(`triage: row ${row} is edited`) as string,
    });
    edited.force(`UPDATE journal SET body = replace(body, 'nobody', 'telegram') WHERE sequence = ${row}`);
    expect((await audit(house)).status).toBe(0);
  });

  test('a journal that lost its end is named: the other agents remember how long it was', async () => {
    using cut = new Database(house);
    const last = cut.row('1 = 1');
    cut.force(`DELETE FROM journal WHERE sequence > ${last - 3}`);
    const { status, stdout } = await audit(house, '--json');
    const { journals } = JSON.parse(stdout) as { journals: { agent: string }[] };
    expect({ status, triage: journals.find(({ agent }) => agent === 'triage') }).toMatchObject({
      status: 1,
      triage: { ok: false, fault: 'truncated', sequence: last - 2 },
    });
  });
});

function digests(house: House): ChatMessage[] {
  return house.messages().filter(({ text }) => text.startsWith('Lares digest'));
}

function audit(house: House, ...flags: string[]) {
  return runCommand(['audit', 'verify', ...flags, '-c', house.configFile], { cwd: house.folder });
}

/** Somebody with the file of triage's journal in hand. */
class Database implements Disposable {
  readonly #database: DatabaseSync;

  constructor(house: House) {
    this.#database = new DatabaseSync(join(house.folder, 'state/triage/triage.db'));
  }

  /** The newest row that fits. */
  row(where: string): number {
    return Number(this.#database.prepare(`SELECT max(sequence) AS row FROM journal WHERE ${where}`).get()?.['row']);
  }

  force(sql: string): void {
    this.#database.exec('DROP TRIGGER IF EXISTS journal_no_update; DROP TRIGGER IF EXISTS journal_no_delete');
    this.#database.exec(sql);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
