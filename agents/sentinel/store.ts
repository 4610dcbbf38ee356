import { join } from 'node:path';
import { journalMigration } from '#bus/journal.ts';
import { Finding } from '#bus/messages/finding.ts';
import { Run } from '#bus/messages/run.ts';
import { Verdict } from '#bus/messages/verdict.ts';
import { openStore, type Store } from '#agents/runtime/store.ts';
import { foreignMigration } from './foreign/rows.ts';
import type { Said } from './inventory/remember.ts';
import type { TrackState } from './state.ts';
import type { Track, TrackSort } from './tracks.ts';

const migrations = [
  `CREATE TABLE tracks (
     check_id TEXT NOT NULL, sort TEXT NOT NULL, condition TEXT NOT NULL, resource TEXT NOT NULL,
     state TEXT NOT NULL, fingerprint TEXT,
     PRIMARY KEY (check_id, sort, condition, resource)
   ) WITHOUT ROWID;
   CREATE TABLE findings (fingerprint TEXT PRIMARY KEY, status TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE subjects (
     fingerprint TEXT PRIMARY KEY, check_id TEXT NOT NULL, sort TEXT NOT NULL, condition TEXT NOT NULL,
     resource TEXT NOT NULL, fired_at INTEGER NOT NULL
   ) WITHOUT ROWID;
   CREATE TABLE memory (check_id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE rechecks (run TEXT PRIMARY KEY, body TEXT NOT NULL, verdict TEXT, at INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;`,
  journalMigration,
  foreignMigration,
  'CREATE TABLE discovered (source TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;',
];

/** What a fingerprint is about; known long after the finding ended, because a run may be approved hours later. */
export interface Subject {
  check: string;
  sort: TrackSort;
  condition: string;
  resource: string;
}

export interface StoredTrack extends Subject {
  state: TrackState;
  finding?: Finding;
}

/** All that one look changed, written together. */
interface Batch {
  check: string;
  tracks: readonly Track[];
  findings: readonly Finding[];
  memory?: string;
  at: number;
}

const subjectsKeptMs = 90 * 86_400_000;
const recheckKeptMs = 30 * 86_400_000;

/** Sentinel's record: how things stand, what is firing, what was judged. What is told on the bus was stored here before. */
export class SentinelStore {
  readonly rows: Store;

  constructor(folder: string, onRewritten?: (text: string) => void) {
    this.rows = openStore({ path: join(folder, 'sentinel.db'), migrations, onRewritten });
  }

  /** Every track that is not simply well, with its finding when it is firing. */
  tracks(): StoredTrack[] {
    const rows = this.rows.all(
      `SELECT t.check_id, t.sort, t.condition, t.resource, t.state, f.body FROM tracks t
       LEFT JOIN findings f ON f.fingerprint = t.fingerprint AND f.status = 'firing'`,
    );
    return rows.map((row) => ({
      ...subjectOf(row),
      state: JSON.parse(String(row['state'])) as TrackState,
      ...(typeof row['body'] === 'string' && { finding: Finding.parse(JSON.parse(row['body'])) }),
    }));
  }

  /** Findings whose topic is still owned: firing ones, and resolved ones until they were seen. */
  findings(): Finding[] {
    return this.rows.all('SELECT body FROM findings').map((row) => Finding.parse(JSON.parse(String(row['body']))));
  }

  save(batch: Batch): void {
    this.rows.transaction(() => {
      for (const track of batch.tracks) this.#saveTrack(batch.check, track);
      for (const finding of batch.findings) this.#saveFinding(finding);
      for (const track of batch.tracks) {
        if (track.finding !== undefined) this.#saveSubject(batch, track, track.finding.fingerprint);
      }
      if (batch.memory !== undefined) {
        this.rows.run('INSERT OR REPLACE INTO memory VALUES (?, ?)', batch.check, batch.memory);
      }
    });
  }

  #saveTrack(check: string, track: Track): void {
    const key = [check, track.sort, track.condition, track.resource] as const;
    const isWell = track.state.phase === 'ok' && track.state.past.transitions.length === 0;
    if (isWell) {
      this.rows.run('DELETE FROM tracks WHERE check_id = ? AND sort = ? AND condition = ? AND resource = ?', ...key);
      return;
    }
    this.rows.run(
      'INSERT OR REPLACE INTO tracks VALUES (?, ?, ?, ?, ?, ?)',
      ...key,
      JSON.stringify(track.state),
      track.finding?.fingerprint ?? null,
    );
  }

  #saveFinding(finding: Finding): void {
    this.rows.run(
      'INSERT OR REPLACE INTO findings VALUES (?, ?, ?)',
      finding.fingerprint,
      finding.status,
      JSON.stringify(finding),
    );
  }

  #saveSubject(batch: Batch, track: Track, fingerprint: string): void {
    this.rows.run(
      `INSERT INTO subjects VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET fired_at = excluded.fired_at`,
      fingerprint,
      batch.check,
      track.sort,
      track.condition,
      track.resource,
      batch.at,
    );
  }

  /** Replaces a finding's body while it still is the same occurrence and firing. */
  amend(finding: Finding): void {
    const row = this.rows.get('SELECT body FROM findings WHERE fingerprint = ?', finding.fingerprint);
    const stored = row === undefined ? undefined : Finding.parse(JSON.parse(String(row['body'])));
    if (stored?.status === 'firing' && stored.occurrence === finding.occurrence) this.#saveFinding(finding);
  }

  forgetFinding(fingerprint: string): void {
    this.rows.run("DELETE FROM findings WHERE fingerprint = ? AND status = 'resolved'", fingerprint);
  }

  subject(fingerprint: string): Subject | undefined {
    const row = this.rows.get('SELECT * FROM subjects WHERE fingerprint = ?', fingerprint);
    return row === undefined ? undefined : subjectOf(row);
  }

  memory(): Map<string, string> {
    const rows = this.rows.all('SELECT check_id, body FROM memory');
    return new Map(rows.map((row) => [String(row['check_id']), String(row['body'])]));
  }

  /** Writes down that a run wants its verdict; the first word stands. */
  acceptRecheck(run: Run, at: number): void {
    this.rows.run('INSERT OR IGNORE INTO rechecks VALUES (?, ?, NULL, ?)', run.id, JSON.stringify(run), at);
  }

  saveVerdict(verdict: Verdict): void {
    this.rows.run('UPDATE rechecks SET verdict = ? WHERE run = ?', JSON.stringify(verdict), verdict.run);
  }

  verdict(run: string): Verdict | undefined {
    const row = this.rows.get('SELECT verdict FROM rechecks WHERE run = ? AND verdict IS NOT NULL', run);
    return row === undefined ? undefined : Verdict.parse(JSON.parse(String(row['verdict'])));
  }

  /** Runs that were accepted and have no verdict: a restart goes on with them. */
  openRechecks(): Run[] {
    const rows = this.rows.all('SELECT body FROM rechecks WHERE verdict IS NULL');
    return rows.map((row) => Run.parse(JSON.parse(String(row['body']))));
  }

  /** What a source of discovery said, as it was stored. */
  discovered(source: string): Said | undefined {
    const row = this.rows.get('SELECT body FROM discovered WHERE source = ?', source);
    return row === undefined ? undefined : (JSON.parse(String(row['body'])) as Said);
  }

  saveDiscovered(source: string, said: Said): void {
    this.rows.run('INSERT OR REPLACE INTO discovered VALUES (?, ?)', source, JSON.stringify(said));
  }

  counter(name: string): number {
    return Number(this.rows.get('SELECT value FROM counters WHERE name = ?', name)?.['value'] ?? 0);
  }

  setCounter(name: string, value: number): void {
    this.rows.run('INSERT OR REPLACE INTO counters VALUES (?, ?)', name, value);
  }

  /** Forgets what nobody asks for any more. */
  prune(now: number): void {
    this.rows.run(
      `DELETE FROM subjects WHERE fired_at < ? AND fingerprint NOT IN (SELECT fingerprint FROM findings)`,
      now - subjectsKeptMs,
    );
    this.rows.run('DELETE FROM rechecks WHERE verdict IS NOT NULL AND at < ?', now - recheckKeptMs);
  }

  close(): void {
    this.rows.close();
  }
}

function subjectOf(row: Record<string, unknown>): Subject {
  return {
    check: String(row['check_id']),
    sort: String(row['sort']) as TrackSort,
    condition: String(row['condition']),
    resource: String(row['resource']),
  };
}
