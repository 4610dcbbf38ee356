import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
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

/** Makes the folder, closed to others whatever the umask says. */
export function makePrivateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
}
