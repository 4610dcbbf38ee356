import { existsSync, renameSync } from 'node:fs';
import { isDamaged, openStore, type Store, type StoreOptions } from '#agents/runtime/store.ts';

/**
 * A store whose rows are worth less than that something is kept at all: a damaged file is set aside as `.damaged` and
 * begun anew, at the start or before the next use. Contract: `onReplaced` is called once for each; what was under way
 * when the damage showed throws its Failure.
 */
export function openReplaceable(options: StoreOptions, onReplaced: (aside: string) => void): Store {
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

function openOrReplace(options: StoreOptions, onReplaced: (aside: string) => void): Store {
  try {
    return openStore(options);
  } catch (error) {
    if (!isDamaged(error)) throw error;
    return replace(options, onReplaced);
  }
}

function replace(options: StoreOptions, onReplaced: (aside: string) => void): Store {
  const aside = `${options.path}.damaged`;
  for (const ending of ['', '-wal', '-shm']) {
    if (existsSync(options.path + ending)) renameSync(options.path + ending, aside + ending);
  }
  const store = openStore(options);
  onReplaced(aside);
  return store;
}
