import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { codeOf, Failure } from '#bus/failure.ts';

/** Throws a Failure when something is there already and may not be replaced. */
export function refuseToReplace(file: string, force: boolean): void {
  if (force || !existsSync(file)) return;
  throw new Failure(`Cannot write "${file}": it is there already; say --force to replace it`, { recoverable: false });
}

/** Writes a file that only this user may read, whole or not at all. Throws a Failure. */
export function writeNewFile(file: string, text: string, force: boolean): void {
  refuseToReplace(file, force);
  const beside = `${file}.${process.pid}.new`;
  try {
    writeFileSync(beside, text, { mode: 0o600, flag: 'wx' });
    renameSync(beside, file);
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    rmSync(beside, { force: true });
    throw new Failure(`Cannot write "${file}": ${code}`, { recoverable: false, cause: error });
  }
}
