import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { finding as findingKind } from '#bus/messages/finding.ts';
import { temporaryFolder } from './process.ts';
import type { Bench } from './row.ts';
import { interleave, median, timed } from './samples.ts';
import { findingOf, startTriage, type TriageStand } from './triage-stand.ts';

/** So many at a time. */
export const batch = 1_000;
const rounds = 5;
/** As many as may be on their way: what the bus client queues at most. */
const inFlight = 200;
const pollMs = 2;

export const findingsIn: Bench = {
  about: `${rounds} times ${batch} findings, from the first publish until triage has all of them on disk`,
  async run() {
    using folder = temporaryFolder();
    await using stand = await startTriage(folder.path, {});
    const floorFile = join(folder.path, 'floor.db');
    const each = await interleave(rounds, {
      ours: () => feed(stand),
      floor: async () => insertAll(floorFile),
    });
    return [
      {
        name: 'findings-in',
        ours: (median(each.ours) / batch) * 1_000,
        floor: (median(each.floor) / batch) * 1_000,
        against: 'SQLite, synchronous=FULL, inserts one by one',
        unit: 'us each',
        // As fast as Alertmanager 0.25 takes single posts, which it does not keep: measured on one machine.
        aim: { of: 'ratio', atMost: 1.2 },
      },
    ];
  },
};

let fed = 0;

/** Milliseconds from the first publish until a batch is in the inbox or past it. */
export async function feed(stand: TriageStand): Promise<number> {
  using database = new DatabaseSync(stand.database, { readOnly: true });
  const counted = database.prepare('SELECT (SELECT count(*) FROM findings) + (SELECT count(*) FROM inbox) AS n');
  const stored = (): number => Number(counted.get()?.['n'] ?? 0);
  const before = stored();
  const messages = Array.from({ length: batch }, () => findingOf((fed += 1), 'flood'));
  return await timed(async () => {
    for (const [sent, message] of messages.entries()) {
      stand.sentinel.publish(findingKind, message);
      if ((sent + 1) % inFlight === 0) await stand.sentinel.flush(AbortSignal.timeout(60_000));
    }
    while (stored() < before + batch) await wait(pollMs);
  });
}

async function insertAll(file: string): Promise<number> {
  const database = new DatabaseSync(file);
  database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS f (id TEXT, body TEXT)');
  const insert = database.prepare('INSERT INTO f VALUES (?, ?)');
  const bodies = Array.from({ length: batch }, (_, number) => JSON.stringify(findingOf(number, 'floor')));
  const took = await timed(async () => {
    for (const [number, body] of bodies.entries()) insert.run(String(number), body);
  });
  database.close();
  return took;
}
