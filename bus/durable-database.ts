import { existsSync, renameSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { messageOf } from './failure.ts';
import type { BusLog } from './log.ts';

export type Row = Record<string, unknown>;
type Done = (error?: Error | null) => void;

/** What nobody waits for is on the disk at the latest then. */
const lazyCommitMs = 50;

/** SQLITE_CORRUPT and SQLITE_NOTADB, https://sqlite.org/rescode.html. */
const damaged = new Set([11, 26]);

/**
 * A damaged file is set aside: what the bus holds is a view of its agents' stores, which tell it again, and without a bus
 * nobody would hear of anything.
 */
function openUndamaged(file: string, options: { schema: string; log: BusLog }): DatabaseSync {
  try {
    return openFile(file, options.schema);
  } catch (error) {
    if (!(error instanceof Error && 'errcode' in error && damaged.has(Number(error.errcode) & 0xff))) throw error;
    const aside = `${file}.damaged`;
    for (const ending of ['', '-wal', '-shm']) {
      if (existsSync(file + ending)) renameSync(file + ending, aside + ending);
    }
    options.log.error({ file, aside, error: messageOf(error) }, 'The bus begins anew: its file is damaged');
    return openFile(file, options.schema);
  }
}

function openFile(file: string, schema: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 5_000 });
  try {
    database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864');
    const fault = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
    if (fault !== 'ok') throw Object.assign(new Error(String(fault)), { errcode: 11 });
    database.exec(schema);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * One SQLite file with group commit. A change joins the open transaction and is visible at once; who calls
 * `whenDurable` hears when it is on the disk (WAL, `synchronous=FULL`), and all who came during one turn of the event
 * loop share that commit.
 */
export class DurableDatabase {
  readonly #database: DatabaseSync;
  readonly #log: BusLog;
  readonly #statements = new Map<string, StatementSync>();
  #waiting: Done[] = [];
  #lazy: NodeJS.Timeout | undefined;
  #eager: NodeJS.Immediate | undefined;
  /** Something was written since the last commit. */
  #dirty = false;
  readonly #rollbackListeners: (() => void)[] = [];

  constructor(file: string, options: { schema: string; log: BusLog }) {
    this.#log = options.log;
    this.#database = openUndamaged(file, options);
  }

  /** Returns the number of changed rows. */
  write(sql: string, ...values: SQLInputValue[]): number {
    if (!this.#database.isTransaction) {
      // On a full disk SQLite rolls back by itself, in the middle of the work: everybody who waits must hear of it.
      if (this.#dirty) this.#commit();
      this.#database.exec('BEGIN IMMEDIATE');
      this.#dirty = true;
      this.#lazy ??= setTimeout(() => this.#commit(), lazyCommitMs);
    }
    return Number(this.#statement(sql).run(...values).changes);
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values);
  }

  whenDurable(done: Done): void {
    this.#waiting.push(done);
    this.#eager ??= setImmediate(() => this.#commit());
  }

  /** Calls back when uncommitted changes were lost, so that what was derived from them is derived anew. */
  onRollback(listener: () => void): void {
    this.#rollbackListeners.push(listener);
  }

  close(): void {
    this.#commit();
    this.#statements.clear();
    this.#database.close();
  }

  #commit(): void {
    clearTimeout(this.#lazy);
    clearImmediate(this.#eager);
    this.#lazy = undefined;
    this.#eager = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    const error = this.#committed();
    for (const done of waiting) done(error);
  }

  #committed(): Error | null {
    if (!this.#dirty) return null;
    this.#dirty = false;
    try {
      if (!this.#database.isTransaction) throw new Error('the changes were rolled back');
      this.#database.exec('COMMIT');
      return null;
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'The bus cannot write to its disk');
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      for (const listener of this.#rollbackListeners) listener();
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}
