import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { codeOf, Failure, messageOf } from './failure.ts';

/**
 * Makes a folder and those above it, closed to other users. Throws a Failure. Not `mkdirSync` with `recursive`: below
 * a folder that refuses new ones with ENOENT, as /proc does, that never returns.
 */
export function makeFolder(folder: string): void {
  const missing: string[] = [];
  try {
    for (let at = resolve(folder); statSync(at, { throwIfNoEntry: false }) === undefined; at = dirname(at)) {
      missing.push(at);
    }
    for (const each of missing.toReversed()) makeOne(each);
    if (!statSync(folder).isDirectory()) throw unmade(folder, 'a file stands in its place', undefined);
  } catch (error) {
    throw error instanceof Failure ? error : unmade(folder, messageOf(error), error);
  }
}

function makeOne(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

function unmade(folder: string, reason: string, cause: unknown): Failure {
  return new Failure(`Cannot keep state: the folder "${folder}" cannot be made: ${reason}`, {
    recoverable: true,
    cause,
  });
}
