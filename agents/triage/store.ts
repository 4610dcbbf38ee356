import { join } from 'node:path';
import { openJournal, type Journal } from '#bus/journal.ts';
import { openStore, type Store } from '#agents/runtime/store.ts';
import { type FindingRows, findingRows } from './store/findings.ts';
import { type DigestRows, digestRows } from './store/digests.ts';
import { type InboxRows, inboxRows } from './store/inbox.ts';
import { type ManifestRows, manifestRows } from './store/manifests.ts';
import { type IncidentRows, incidentRows } from './store/incidents.ts';
import { type PlanRows, planRows } from './store/plans.ts';
import { triageMigrations } from './store/schema.ts';
import { type TokenRows, tokenRows } from './store/tokens.ts';

/** All that triage keeps, in `triage.db`. One file, so that one transaction holds a change and what follows from it. */
export interface TriageStore {
  rows: Store;
  journal: Journal;
  inbox: InboxRows;
  manifests: ManifestRows;
  digests: DigestRows;
  findings: FindingRows;
  incidents: IncidentRows;
  plans: PlanRows;
  tokens: TokenRows;
  /** Single values that outlive the process. */
  fact(key: string): string | undefined;
  setFact(key: string, value: string): void;
  close(): void;
}

export function openTriageStore(folder: string, journalKey: Buffer, onRewritten?: (text: string) => void): TriageStore {
  const rows = openStore({ path: join(folder, 'triage.db'), migrations: triageMigrations, onRewritten });
  return {
    rows,
    journal: openJournal(rows, journalKey),
    inbox: inboxRows(rows),
    manifests: manifestRows(rows),
    digests: digestRows(rows),
    findings: findingRows(rows),
    incidents: incidentRows(rows),
    plans: planRows(rows),
    tokens: tokenRows(rows),
    fact(key) {
      const value = rows.get('SELECT value FROM facts WHERE key = ?', key)?.['value'];
      return typeof value === 'string' ? value : undefined;
    },
    setFact: (key, value) => void rows.run('INSERT OR REPLACE INTO facts (key, value) VALUES (?,?)', key, value),
    close: () => rows.close(),
  };
}
