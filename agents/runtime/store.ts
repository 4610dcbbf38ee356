import { renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { Failure, messageOf } from '#bus/failure.ts';
import { makeFolder } from '#bus/make-folder.ts';

/** SQLite's primary result codes that mean "the disk or the file refuses", https://sqlite.org/rescode.html. */
const refusals: Record<number, { reason: string; recoverable: boolean }> = {
  5: { reason: 'is locked by another process', recoverable: true },
  8: { reason: 'is read-only', recoverable: true },
  10: { reason: 'cannot be read or written', recoverable: true },
  11: { reason: 'is damaged; put a backup in its place, or move it away and begin anew', recoverable: false },
  13: { reason: 'is full: no space is left for it', recoverable: true },
  14: { reason: 'cannot be opened', recoverable: true },
  26: { reason: 'is not a database', recoverable: false },
};

/**
 * One SQLite file: WAL, `synchronous=FULL` (what was committed survives a power cut), numbered migrations. Rows have
 * null prototypes; the agent's own `store.ts` turns them into domain values. A full disk throws a recoverable Failure. A
 * file that somebody deletes meanwhile is written anew before it is used the next time.
 */
export interface Store {
  run(sql: string, ...values: SQLInputValue[]): { changes: number };
  get(sql: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined;
  all(sql: string, ...values: SQLInputValue[]): Record<string, unknown>[];
  /**
   * All or nothing. Nested calls join the outer transaction, so a failure that is caught inside undoes nothing.
   * Contract: `work` is synchronous; a promise from it is a bug and rolls back.
   */
  transaction<T>(work: () => T): T;
  /** May be called again. */
  close(): void;
}

export interface StoreOptions {
  /** `:memory:` or a file; its folder is made. */
  path: string;
  /** Applied in order, once each; the position is the version. Never edit one that has shipped. */
  migrations: readonly string[];
  /** `NORMAL` for what may lose its last second: heartbeats and history. */
  synchronous?: 'FULL' | 'NORMAL';
  /** Called each time that the file was gone while it was open and was written anew, with what happened in words. */
  onRewritten?: ((text: string) => void) | undefined;
}

export function openStore(options: StoreOptions): Store {
  const store = new SqliteStore(options);
  try {
    guarded(options.path, () => migrate(store, options));
  } catch (error) {
    store.close();
    throw error;
  }
  return store;
}

function openDatabase({ path, synchronous = 'FULL' }: StoreOptions): DatabaseSync {
  if (path !== ':memory:') makeFolder(dirname(path));
  return guarded(path, () => {
    const opened = new DatabaseSync(path, { timeout: 5_000, defensive: true });
    try {
      opened.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=${synchronous}; PRAGMA foreign_keys=ON`);
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  });
}

/** A disk that does not answer is not missing. */
function isMissing(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

function migrate(store: SqliteStore, options: StoreOptions): void {
  const version = Number(store.get('PRAGMA user_version')?.['user_version'] ?? 0);
  if (version > options.migrations.length) {
    throw new Failure(
      `Cannot open "${options.path}": it was written by a newer Lares (schema ${version}); use that one, or the backup from before it`,
      {
        recoverable: false,
      },
    );
  }
  for (const [index, sql] of options.migrations.entries()) {
    if (index < version) continue;
    store.transaction(() => {
      store.exec(sql);
      store.exec(`PRAGMA user_version=${index + 1}`);
    });
  }
}

class SqliteStore implements Store {
  #database: DatabaseSync;
  readonly #options: StoreOptions;
  readonly #path: string;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#path = options.path;
    this.#database = openDatabase(options);
  }

  run(sql: string, ...values: SQLInputValue[]): { changes: number } {
    this.#keepFile();
    return guarded(this.#path, () => ({ changes: Number(this.#statement(sql).run(...values).changes) }));
  }

  get(sql: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined {
    this.#keepFile();
    return guarded(this.#path, () => this.#statement(sql).get(...values));
  }

  all(sql: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
    this.#keepFile();
    return guarded(this.#path, () => this.#statement(sql).all(...values));
  }

  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.#keepFile();
    this.exec('BEGIN IMMEDIATE');
    this.#depth = 1;
    try {
      const result = work();
      if (result instanceof Promise)
        throw new TypeError('Cannot wait inside a transaction: its work must be synchronous');
      this.exec('COMMIT');
      return result;
    } catch (error) {
      // SQLite may have rolled back by itself, as it does when the disk is full.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    } finally {
      this.#depth = 0;
    }
  }

  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  exec(sql: string): void {
    guarded(this.#path, () => this.#database.exec(sql));
  }

  /** What was deleted lives on for as long as it is open, and would be gone with the process. */
  #keepFile(): void {
    const path = this.#path;
    if (this.#depth > 0 || path === ':memory:' || !isMissing(path)) return;
    makeFolder(dirname(path));
    try {
      this.#writeAnew();
    } catch (error) {
      const reason = `was deleted while it was in use, and cannot be written anew: ${messageOf(error)}`;
      throw new Failure(`Cannot keep state: "${path}" ${reason}`, { recoverable: true, cause: error });
    }
    this.#options.onRewritten?.(`"${path}" was deleted while it was in use, and was written anew`);
  }

  /** Contract: when it throws, the file is missing still, and what was deleted is open still. */
  #writeAnew(): void {
    const path = this.#path;
    const half = `${path}.new`;
    // A log of the deleted file would be played into the new one.
    for (const rest of [half, `${path}-wal`, `${path}-shm`]) rmSync(rest, { force: true });
    this.#database.prepare('VACUUM INTO ?').run(half);
    renameSync(half, path);
    const old = this.#database;
    try {
      this.#database = openDatabase(this.#options);
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    }
    this.#statements.clear();
    old.close();
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB. */
const damage: ReadonlySet<number> = new Set([11, 26]);

/** Whether the file itself is broken: no waiting and no space mends it. */
export function isDamaged(error: unknown): error is Failure {
  return error instanceof Failure && damage.has(codeIn(error.cause));
}

function codeIn(error: unknown): number {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
}

function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const refusal = refusals[codeIn(error)];
    if (refusal === undefined) throw error;
    const { reason, recoverable } = refusal;
    throw new Failure(`Cannot keep state: "${path}" ${reason}`, { recoverable, cause: error });
  }
}
