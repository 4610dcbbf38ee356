import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Failure } from '#bus/failure.ts';
import { makeFolder } from '#bus/make-folder.ts';

/** SQLITE_BUSY: another process holds the file. */
const busy = 5;

/**
 * One process per state folder and name: two would fight over client ids and run schedules twice. The lock is SQLite's
 * own file lock, so the kernel releases it however the process ends. Throws a Failure when another process holds it,
 * and when the file cannot be made.
 */
export function lockInstance(stateFolder: string, name: string): { release(): void } {
  makeFolder(stateFolder);
  const file = join(stateFolder, `${name}.lock`);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: 0 });
    database.exec('PRAGMA journal_mode=DELETE; BEGIN EXCLUSIVE');
    const held = database;
    return { release: () => held.close() };
  } catch (error) {
    database?.close();
    throw refusal(error, { stateFolder, file });
  }
}

function refusal(error: unknown, at: { stateFolder: string; file: string }): unknown {
  if (!(error instanceof Error && 'errcode' in error)) return error;
  const text =
    error.errcode === busy
      ? `another Lares already uses the state folder "${at.stateFolder}"`
      : `"${at.file}" cannot be locked: ${error.message}`;
  return new Failure(`Cannot start: ${text}`, { recoverable: false, cause: error });
}
