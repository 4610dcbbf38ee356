import { join } from 'node:path';
import { Failure } from '#bus/failure.ts';
import type { Finding } from '#bus/messages/finding.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Store } from '#agents/runtime/store.ts';
import type { LastPing, Ping } from './check.ts';
import type { Keeping } from './keeping.ts';
import { openReplaceable } from './replaceable-store.ts';

const migrations = [
  `CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
   CREATE TABLE samples (series INTEGER NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY (series, at))
     WITHOUT ROWID;
   CREATE INDEX samples_at ON samples (at);
   CREATE TABLE occurrences (
     occurrence TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, starts_at INTEGER NOT NULL, ends_at INTEGER,
     summary TEXT NOT NULL, ended_by TEXT
   ) WITHOUT ROWID;
   CREATE INDEX occurrences_of ON occurrences (fingerprint, starts_at);
   CREATE TABLE heartbeats (id TEXT PRIMARY KEY, known_since INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE pings (id TEXT PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;`,
  `ALTER TABLE pings ADD COLUMN exit_status INTEGER;`,
  `ALTER TABLE pings ADD COLUMN succeeded_at INTEGER;
   UPDATE pings SET succeeded_at = at WHERE kind = 'success';`,
];

/** Few rows that looks stand on. */
const salvage = ['pings', 'heartbeats', 'occurrences'] as const;

const flushMs = 1_000;
/** A value that hardly moves is written this often, one that moves at most each minute. */
const restMs = 60 * 60_000;
const busyMs = 60_000;
/** Smaller moves are noise for a sparkline. */
const relativeMove = 0.01;
const samplesKeptMs = 3 * 86_400_000;
const maximumSamples = 500_000;
const occurrencesKeptMs = 365 * 86_400_000;

/** How an occurrence ended while Lares did nothing about it. */
export const byItself = 'ended by itself';

export interface Credit {
  fingerprint: string;
  endedBy: string;
  /** Epoch ms: when that which ended it began. */
  since: number;
}

export interface PastOccurrence {
  startsAt: number;
  endsAt?: number;
  summary: string;
  endedBy?: string;
}

/** What may lose its last second in a power cut: values, past occurrences, pings. */
export class History {
  readonly #rows: Store;
  readonly #clock: Clock;
  readonly #keeping: Keeping;
  readonly #series = new Map<string, { id: number; at: number; value: number }>();
  #waiting: (readonly [series: number, at: number, value: number])[] = [];
  #cancelFlush: (() => void) | undefined;
  /** Pings came that nobody knows of any more. */
  #hasLostPings = false;

  constructor(folder: string, { clock, keeping }: { clock: Clock; keeping: Keeping }) {
    this.#clock = clock;
    this.#keeping = keeping;
    const onRewritten = (text: string): void => keeping.note(text);
    const file = { path: join(folder, 'history.db'), migrations, synchronous: 'NORMAL', onRewritten, salvage } as const;
    this.#rows = openReplaceable(file, ({ aside, lost }) => {
      this.#series.clear();
      this.#waiting = [];
      this.#hasLostPings = lost.includes('pings');
      const gone = lost.length === 0 ? 'values' : `values, ${lost.join(', ')}`;
      keeping.note(`the history was damaged and begins anew without its ${gone}; the old file is "${aside}"`);
    });
  }

  /** Keeps a value when it moved or has not been kept for long. Written within a second. */
  sample(name: string, value: number): void {
    const at = this.#clock.now();
    const known = this.#series.get(name) ?? this.#openSeries(name);
    const hasMoved = Math.abs(value - known.value) > relativeMove * Math.max(Math.abs(known.value), 1e-9);
    if (at - known.at < (hasMoved || Number.isNaN(known.value) ? busyMs : restMs)) return;
    known.at = at;
    known.value = value;
    this.#waiting.push([known.id, at, value]);
    this.#cancelFlush ??= this.#clock.after(flushMs, () => void this.#keeping.guard(() => this.flush()));
  }

  #openSeries(name: string): { id: number; at: number; value: number } {
    const find = (): Record<string, unknown> | undefined =>
      this.#rows.get('SELECT id FROM series WHERE name = ?', name);
    let row = find();
    if (row === undefined) {
      this.#rows.run('INSERT INTO series (name) VALUES (?)', name);
      row = find();
    }
    const series = { id: Number(row?.['id']), at: Number.NEGATIVE_INFINITY, value: Number.NaN };
    this.#series.set(name, series);
    return series;
  }

  /** The last values of a series, oldest first. */
  samples(name: string, limit: number): { at: number; value: number }[] {
    this.flush();
    const rows = this.#rows.all(
      `SELECT at, value FROM samples WHERE series = (SELECT id FROM series WHERE name = ?) ORDER BY at DESC LIMIT ?`,
      name,
      limit,
    );
    return rows.map((row) => ({ at: Number(row['at']), value: Number(row['value']) })).toReversed();
  }

  flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    const waiting = this.#waiting.splice(0);
    if (waiting.length === 0) return;
    this.#rows.transaction(() => {
      for (const row of waiting) this.#rows.run('INSERT OR REPLACE INTO samples VALUES (?, ?, ?)', ...row);
    });
  }

  began(finding: Finding): void {
    this.#rows.run(
      'INSERT OR IGNORE INTO occurrences (occurrence, fingerprint, starts_at, summary) VALUES (?, ?, ?, ?)',
      finding.occurrence,
      finding.fingerprint,
      Date.parse(finding.startsAt),
      finding.summary,
    );
  }

  ended(finding: Finding, endedBy: string): void {
    this.began(finding);
    this.#rows.run(
      'UPDATE occurrences SET ends_at = ?, ended_by = ? WHERE occurrence = ?',
      Date.parse(finding.endsAt ?? finding.updatedAt),
      endedBy,
      finding.occurrence,
    );
  }

  /** Notes what ended the occurrences that were over since then and have nothing else to be thankful to. */
  credit({ fingerprint, endedBy, since }: Credit): void {
    this.#rows.run(
      'UPDATE occurrences SET ended_by = ? WHERE fingerprint = ? AND ends_at >= ? AND ended_by = ?',
      endedBy,
      fingerprint,
      since,
      byItself,
    );
  }

  /** Whether this condition ever held. */
  knows(fingerprint: string): boolean {
    return this.#rows.get('SELECT 1 FROM occurrences WHERE fingerprint = ? LIMIT 1', fingerprint) !== undefined;
  }

  /** When it ended the last time, epoch ms. */
  lastEnd(fingerprint: string): number | undefined {
    const row = this.#rows.get('SELECT max(ends_at) AS at FROM occurrences WHERE fingerprint = ?', fingerprint);
    return typeof row?.['at'] === 'number' ? row['at'] : undefined;
  }

  /** How often it ended since then. */
  endsSince(fingerprint: string, since: number): number {
    const sql = 'SELECT count(*) AS n FROM occurrences WHERE fingerprint = ? AND ends_at >= ?';
    return Number(this.#rows.get(sql, fingerprint, since)?.['n'] ?? 0);
  }

  /** Earlier occurrences of the same condition, newest first. */
  before(finding: Finding, limit: number): { total: number; last: PastOccurrence[] } {
    const key = [finding.fingerprint, finding.occurrence] as const;
    const count = this.#rows.get(
      'SELECT count(*) AS n FROM occurrences WHERE fingerprint = ? AND occurrence <> ?',
      ...key,
    );
    const rows = this.#rows.all(
      `SELECT * FROM occurrences WHERE fingerprint = ? AND occurrence <> ? ORDER BY starts_at DESC LIMIT ?`,
      ...key,
      limit,
    );
    const last = rows.map((row) => ({
      startsAt: Number(row['starts_at']),
      summary: String(row['summary']),
      ...(row['ends_at'] !== null && { endsAt: Number(row['ends_at']) }),
      ...(typeof row['ended_by'] === 'string' && { endedBy: row['ended_by'] }),
    }));
    return { total: Number(count?.['n'] ?? 0), last };
  }

  ping(id: string, ping: Ping): void {
    const { at, kind, body, exitStatus = null } = ping;
    const succeededAt = kind === 'success' ? at : (this.lastPing(id)?.succeededAt ?? null);
    this.#rows.run(
      'INSERT OR REPLACE INTO pings (id, at, kind, body, exit_status, succeeded_at) VALUES (?, ?, ?, ?, ?, ?)',
      id,
      at,
      kind,
      body,
      exitStatus,
      succeededAt,
    );
  }

  lastPing(id: string): LastPing | undefined {
    const row = this.#rows.get('SELECT at, kind, body, exit_status, succeeded_at FROM pings WHERE id = ?', id);
    if (row === undefined) return undefined;
    return {
      at: Number(row['at']),
      kind: String(row['kind']) as Ping['kind'],
      body: String(row['body']),
      ...(typeof row['exit_status'] === 'number' && { exitStatus: row['exit_status'] }),
      ...(typeof row['succeeded_at'] === 'number' && { succeededAt: row['succeeded_at'] }),
    };
  }

  /** The same for who judges a silence: that a ping is not known is no news when pings were lost. */
  knownPing(id: string): Ping | undefined {
    const last = this.lastPing(id);
    if (last !== undefined || !this.#hasLostPings) return last;
    throw new Failure(`Cannot tell when "${id}" came: its pings were lost with the damaged history`, {
      recoverable: true,
    });
  }

  /** When a heartbeat was first asked about; from then on its silence counts. */
  knownSince(id: string): number {
    const row = this.#rows.get('SELECT known_since FROM heartbeats WHERE id = ?', id);
    if (row !== undefined) return Number(row['known_since']);
    const now = this.#clock.now();
    this.#rows.run('INSERT INTO heartbeats VALUES (?, ?)', id, now);
    return now;
  }

  /** Keeps the file small whatever comes in. */
  prune(now: number): void {
    this.flush();
    this.#rows.transaction(() => {
      this.#rows.run('DELETE FROM samples WHERE at < ?', now - samplesKeptMs);
      const count = Number(this.#rows.get('SELECT count(*) AS n FROM samples')?.['n'] ?? 0);
      if (count > maximumSamples) {
        this.#rows.run(
          'DELETE FROM samples WHERE at < (SELECT at FROM samples ORDER BY at LIMIT 1 OFFSET ?)',
          count - maximumSamples,
        );
      }
      this.#rows.run('DELETE FROM series WHERE id NOT IN (SELECT DISTINCT series FROM samples)');
      this.#rows.run('DELETE FROM occurrences WHERE starts_at < ?', now - occurrencesKeptMs);
    });
    this.#series.clear();
  }

  close(): void {
    this.#keeping.guard(() => this.flush());
    this.#rows.close();
  }
}
