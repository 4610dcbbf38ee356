import { z } from 'zod';
import { type Store, openStore } from '#agents/runtime/store.ts';
import { type BreakerState, initialState } from './breaker.ts';

/** Euro in thousand-millionths: whole numbers, so that sums are exact. */
export type NanoEuro = number;
export const nanoPerEuro = 1_000_000_000;

export interface Spent {
  provider: string;
  calls: number;
  inputTokens: number;
  outputTokens: number;
  euro: number;
}

/** What the router must not forget: money, cool-downs, and what people were already told. */
export interface Ledger {
  /** Holds `nanoEuro` of `month` unless spent and held together have reached `cap`. Returns its id, or undefined. */
  reserve(entry: {
    month: string;
    provider: string;
    nanoEuro: NanoEuro;
    at: number;
    cap: NanoEuro;
  }): number | undefined;
  /** Ends a reservation. `calls` is 0 for a request that no model ever saw. */
  settle(reservation: number, use: Omit<Spent, 'provider' | 'euro'> & { nanoEuro: NanoEuro }): void;
  spent(month: string): Spent[];
  /** Spent and held together. */
  committed(month: string): NanoEuro;
  /** The state kept for this provider under this configuration; the initial one when the configuration changed. */
  loadState(provider: string, configHash: string): BreakerState;
  saveState(provider: string, configHash: string, state: BreakerState): void;
  /** True the first time that `key` is said. */
  sayOnce(key: string, at: number): boolean;
  close(): void;
}

const migrations = [
  `CREATE TABLE spending (
     month TEXT NOT NULL, provider TEXT NOT NULL, calls INTEGER NOT NULL, input_tokens INTEGER NOT NULL,
     output_tokens INTEGER NOT NULL, nano_euro INTEGER NOT NULL, PRIMARY KEY (month, provider)) STRICT;
   CREATE TABLE reservations (
     id INTEGER PRIMARY KEY, month TEXT NOT NULL, provider TEXT NOT NULL, nano_euro INTEGER NOT NULL,
     at INTEGER NOT NULL) STRICT;
   CREATE TABLE breakers (
     provider TEXT PRIMARY KEY, config_hash TEXT NOT NULL, state TEXT NOT NULL) STRICT;
   CREATE TABLE said (key TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;`,
];

const StoredState = z.object({
  phase: z.enum(['closed', 'open', 'half-open']),
  reason: z.enum(['transient', 'billing', 'auth', 'refused', 'too-long', 'ours', 'unparseable']).optional(),
  since: z.number(),
  until: z.number(),
  failures: z.number(),
  announced: z.enum(['transient', 'billing', 'auth', 'refused', 'too-long', 'ours', 'unparseable']).optional(),
});

/**
 * Opens the ledger. Reservations that are found belong to a process that died while it waited for an answer. They are
 * booked as spent at their worst case: the provider may have done the work and will send the bill.
 */
export function openLedger(path: string): Ledger {
  // On the disk before the request leaves: a power cut in each call must not make the cap endless.
  const store = openStore({ path, migrations });
  const ledger = new SqliteLedger(store);
  for (const row of store.all('SELECT id, nano_euro FROM reservations')) {
    ledger.settle(Number(row['id']), {
      calls: 1,
      inputTokens: 0,
      outputTokens: 0,
      nanoEuro: Number(row['nano_euro']),
    });
  }
  return ledger;
}

class SqliteLedger implements Ledger {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  reserve(entry: Parameters<Ledger['reserve']>[0]): number | undefined {
    return this.#store.transaction(() => {
      if (entry.nanoEuro > 0 && this.committed(entry.month) >= entry.cap) return undefined;
      const row = this.#store.get(
        'INSERT INTO reservations (month, provider, nano_euro, at) VALUES (?, ?, ?, ?) RETURNING id',
        entry.month,
        entry.provider,
        entry.nanoEuro,
        entry.at,
      );
      return Number(row?.['id']);
    });
  }

  settle(reservation: number, use: Parameters<Ledger['settle']>[1]): void {
    this.#store.transaction(() => {
      const row = this.#store.get('DELETE FROM reservations WHERE id = ? RETURNING month, provider', reservation);
      if (row === undefined || (use.calls === 0 && use.nanoEuro === 0)) return;
      this.#store.run(
        `INSERT INTO spending (month, provider, calls, input_tokens, output_tokens, nano_euro) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (month, provider) DO UPDATE SET calls = calls + excluded.calls,
           input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens,
           nano_euro = nano_euro + excluded.nano_euro`,
        String(row['month']),
        String(row['provider']),
        use.calls,
        use.inputTokens,
        use.outputTokens,
        use.nanoEuro,
      );
    });
  }

  spent(month: string): Spent[] {
    return this.#store.all('SELECT * FROM spending WHERE month = ? ORDER BY provider', month).map((row) => ({
      provider: String(row['provider']),
      calls: Number(row['calls']),
      inputTokens: Number(row['input_tokens']),
      outputTokens: Number(row['output_tokens']),
      euro: Number(row['nano_euro']) / nanoPerEuro,
    }));
  }

  committed(month: string): NanoEuro {
    const row = this.#store.get(
      `SELECT (SELECT coalesce(sum(nano_euro), 0) FROM spending WHERE month = ?1)
            + (SELECT coalesce(sum(nano_euro), 0) FROM reservations WHERE month = ?1) AS total`,
      month,
    );
    return Number(row?.['total'] ?? 0);
  }

  loadState(provider: string, configHash: string): BreakerState {
    const row = this.#store.get('SELECT config_hash, state FROM breakers WHERE provider = ?', provider);
    if (row === undefined || row['config_hash'] !== configHash) return initialState;
    const stored = StoredState.parse(JSON.parse(String(row['state'])));
    // The probe that was under way died with its process.
    const phase = stored.phase === 'half-open' ? 'open' : stored.phase;
    return { ...stored, phase, reason: stored.reason, announced: stored.announced };
  }

  saveState(provider: string, configHash: string, state: BreakerState): void {
    this.#store.run(
      `INSERT INTO breakers (provider, config_hash, state) VALUES (?, ?, ?)
       ON CONFLICT (provider) DO UPDATE SET config_hash = excluded.config_hash, state = excluded.state`,
      provider,
      configHash,
      JSON.stringify(state),
    );
  }

  sayOnce(key: string, at: number): boolean {
    return this.#store.run('INSERT OR IGNORE INTO said (key, at) VALUES (?, ?)', key, at).changes > 0;
  }

  close(): void {
    this.#store.close();
  }
}
