import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Failure } from '#bus/failure.ts';

/** SQLITE_BUSY: another process holds the file. */
const busy = 5;

/**
 * One process per state folder and name: two would fight over client ids and run schedules twice. The lock is SQLite's
 * own file lock, so the kernel releases it however the process ends. Throws a Failure when another process holds it.
 */
export function lockInstance(stateFolder: string, name: string): { release(): void } {
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(join(stateFolder, `${name}.lock`), { timeout: 0 });
  try {
    database.exec('PRAGMA journal_mode=DELETE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!(error instanceof Error && 'errcode' in error && error.errcode === busy)) throw error;
    throw new Failure(`Cannot start: another Lares already uses the state folder "${stateFolder}"`, {
      recoverable: false,
    });
  }
  return { release: () => database.close() };
}
