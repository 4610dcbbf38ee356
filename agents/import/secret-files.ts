import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf, Failure } from '#bus/failure.ts';
import type { FoundSecret } from './imported.ts';

/**
 * Writes each secret alone into its file, readable by this user only. One that is there already is left as it is:
 * nobody's newer key is replaced by an old one. Returns the files that were written. Throws a Failure.
 */
export function writeSecrets(secrets: readonly FoundSecret[], folder: string): string[] {
  const written: string[] = [];
  for (const { file, value } of secrets) {
    const path = join(folder, file);
    if (existsSync(path)) continue;
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      chmodSync(dirname(path), 0o700);
      writeFileSync(path, `${value}\n`, { mode: 0o600, flag: 'wx' });
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined) throw error;
      throw new Failure(`Cannot write "${path}": ${code}`, { recoverable: false, cause: error });
    }
    written.push(path);
  }
  return written;
}
