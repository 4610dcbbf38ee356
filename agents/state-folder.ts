import { accessSync, chmodSync, constants, readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, Failure, messageOf } from '#bus/failure.ts';
import { makeFolder } from '#bus/make-folder.ts';
import type { LoadedConfig } from '#config/load.ts';

/** Where a configuration keeps its state. Private to the user who runs it: keys and passwords live there. */
export interface StateFolders {
  root: string;
  keys: string;
  bus: string;
  /** The address of the embedded broker of the process that runs now, for the command line. */
  busAddress: string;
  of(agent: string): string;
}

export function stateFolders(loaded: LoadedConfig): StateFolders {
  const root = loaded.config.state;
  return {
    root,
    keys: join(root, 'keys'),
    bus: join(root, 'bus'),
    busAddress: join(root, 'bus.json'),
    of: (agent) => join(root, agent),
  };
}

/** What Lares puts into its state folder, and each agent into its own, before anything else. */
const ours = /^(?:sentinel|triage|remediation)\.(?:lock|db)$/;
/** What a file system has in its root. */
const ofNobody = 'lost+found';

/**
 * Makes the folder, closed to others whatever the umask says. Throws a Failure when it is somebody else's, and rather
 * than shut others out of a folder that is theirs too, as `state: /etc` would.
 */
export function makePrivateFolder(folder: string): void {
  checkOwner(folder);
  makeFolder(folder);
  try {
    accessSync(folder, constants.W_OK);
    if ((statSync(folder).mode & 0o077) === 0) return;
    if (holdsOthers(folder)) throw shared(folder);
    chmodSync(folder, 0o700);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    throw new Failure(`Cannot use the state folder "${folder}": ${messageOf(error)}`, { recoverable: true });
  }
}

/** Whether a folder is in use for something else than this state. */
export function holdsOthers(folder: string): boolean {
  const found = readdirSync(folder).filter((name) => name !== ofNobody);
  return found.length > 0 && !found.some((name) => ours.test(name));
}

function shared(folder: string): Failure {
  return new Failure(
    `Cannot use the state folder "${folder}": other users may read it and it holds what is not of Lares; set "state" to a folder of its own, or, if nobody else needs it: chmod 700 ${folder}`,
    { recoverable: false },
  );
}

/**
 * Keys and passwords live there: whoever owns the folder can read them and put others in their place, and files that
 * root makes in it shut its owner out. `user` is the one of this process. Throws a Failure.
 */
export function checkOwner(folder: string, user: number | undefined = process.geteuid?.()): void {
  const owner = statSync(folder, { throwIfNoEntry: false })?.uid;
  if (owner === undefined || user === undefined || owner === user) return;
  throw new Failure(
    `Cannot use the state folder "${folder}": it belongs to user ${owner} and this is user ${user}; run Lares as its owner, or set "state" to a folder of your own`,
    { recoverable: false },
  );
}

/** Less than this, and the next write may be the one that fails. */
const leastFreeBytes = 1_000_000;

/** What the file system below the folder has left for this user, and why nothing can be kept there, if so. */
export function roomBelow(folder: string): { freeBytes: number; trouble?: string } {
  try {
    const { bavail, bsize, files, ffree } = statfsSync(folder);
    const freeBytes = bavail * bsize;
    accessSync(folder, constants.W_OK);
    // A file system that counts no inodes says that it has none in all.
    const isFull = freeBytes < leastFreeBytes || (files > 0 && ffree === 0);
    return isFull ? { freeBytes, trouble: 'no space is left' } : { freeBytes };
  } catch (error) {
    return { freeBytes: 0, trouble: `cannot be written (${codeOf(error) ?? 'no reason given'})` };
  }
}
