import { join } from 'node:path';
import { journalMigration, openJournal, type Journal } from '#bus/journal.ts';
import { openStore, type Store } from '#agents/runtime/store.ts';
import { type GuardRows, guardRows } from './store/guards.ts';
import { type PlanRows, planRows } from './store/plans.ts';
import { type RunRows, runRows } from './store/runs.ts';
import { remediationMigrations } from './store/schema.ts';

/** All that the worker keeps, in `remediation.db`: a commit is on the disk when it returns. */
export interface RemediationStore {
  rows: Store;
  journal: Journal;
  plans: PlanRows;
  runs: RunRows;
  guards: GuardRows;
  /** Drawn once with the file: no two state folders have the same. */
  worker: string;
  close(): void;
}

export function openRemediationStore(
  folder: string,
  journalKey: Buffer,
  onRewritten?: (text: string) => void,
): RemediationStore {
  const path = folder === ':memory:' ? folder : join(folder, 'remediation.db');
  const rows = openStore({ path, migrations: [journalMigration, ...remediationMigrations], onRewritten });
  return {
    rows,
    journal: openJournal(rows, journalKey),
    plans: planRows(rows),
    runs: runRows(rows),
    guards: guardRows(rows),
    worker: String(rows.get('SELECT id FROM worker')?.['id']),
    close: () => rows.close(),
  };
}
