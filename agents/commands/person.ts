import { userInfo } from 'node:os';
import { loadSigner, type Signer } from '#bus/keys.ts';
import { checkOwner, stateFolders } from '../state-folder.ts';
import type { CommandContext } from './command.ts';

/** Who sits here, as the worker looks it up in its own policy. */
export function personHere(): string {
  return `terminal:${userInfo().username}`;
}

/** The key with which the command line signs what a person decides, made at first use. */
export function consoleSigner({ loaded }: Pick<CommandContext, 'loaded'>): Signer {
  const folders = stateFolders(loaded);
  checkOwner(folders.root);
  return loadSigner(folders.keys, 'console');
}
