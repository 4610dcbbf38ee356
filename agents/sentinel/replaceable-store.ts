import { existsSync, renameSync } from 'node:fs';
import { Failure } from '#bus/failure.ts';
import { isDamaged, openStore, type Store, type StoreOptions } from '#agents/runtime/store.ts';

interface Replaceable extends StoreOptions {
  /** Tables to take over from a damaged file as far as they can be read. */
  salvage: readonly string[];
}

/** What became of a damaged file. */
export interface Replaced {
  aside: string;
  /** Tables of `salvage` that could not be read. */
  lost: readonly string[];
}

/**
 * A store whose rows are worth less than that something is kept at all: a damaged file is set aside as `.damaged` and
 * begun anew, at the start or before the next use. Contract: `onReplaced` is called once for each; what was under way
 * when the damage showed throws its Failure.
 */
export function openReplaceable(options: Replaceable, onReplaced: (what: Replaced) => void): Store {
  let store = openOrReplace(options, onReplaced);
  let isFaulty = false;
  const using = <T>(work: (store: Store) => T): T => {
    if (isFaulty) {
      isFaulty = false;
      store.close();
      store = replace(options, onReplaced);
    }
    try {
      return work(store);
    } catch (error) {
      isFaulty = isDamaged(error);
      throw error;
    }
  };
  return {
    run: (sql, ...values) => using((rows) => rows.run(sql, ...values)),
    get: (sql, ...values) => using((rows) => rows.get(sql, ...values)),
    all: (sql, ...values) => using((rows) => rows.all(sql, ...values)),
    // The work goes on with the file that it began with: what failed in it is rolled back there.
    transaction: (work) => using((rows) => rows.transaction(work)),
    close: () => store.close(),
  };
}

function openOrReplace(options: Replaceable, onReplaced: (what: Replaced) => void): Store {
  try {
    return openStore(options);
  } catch (error) {
    if (!isDamaged(error)) throw error;
    return replace(options, onReplaced);
  }
}

function replace(options: Replaceable, onReplaced: (what: Replaced) => void): Store {
  const aside = `${options.path}.damaged`;
  for (const ending of ['', '-wal', '-shm']) {
    if (existsSync(options.path + ending)) renameSync(options.path + ending, aside + ending);
  }
  const store = openStore(options);
  onReplaced({ aside, lost: options.salvage.filter((table) => !isCopied(store, { aside, table })) });
  return store;
}

/** False when the damage is there. */
function isCopied(store: Store, { aside, table }: { aside: string; table: string }): boolean {
  try {
    store.run('ATTACH DATABASE ? AS old', aside);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return false;
  }
  try {
    store.run(`INSERT OR IGNORE INTO main.${table} SELECT * FROM old.${table}`);
    return true;
  } catch {
    // Whatever SQLite says of a broken file, also that a table is not there.
    return false;
  } finally {
    store.run('DETACH DATABASE old');
  }
}
