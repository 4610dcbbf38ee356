import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '#bus/failure.ts';
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

/** Makes the folder, closed to others whatever the umask says. Throws a Failure when it is somebody else's. */
export function makePrivateFolder(folder: string): void {
  checkOwner(folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
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
