import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf, Failure } from '#bus/failure.ts';
import type { FoundSecret } from './imported.ts';

/** What became of the secrets: files that were written, and files that were there already. */
interface WrittenSecrets {
  written: string[];
  kept: string[];
}

/**
 * Writes each secret alone into its file, readable by this user only. One that is there already is left as it is:
 * nobody's newer key is replaced by an old one. Throws a Failure.
 */
export function writeSecrets(secrets: readonly FoundSecret[], folder: string): WrittenSecrets {
  const written: string[] = [];
  const kept: string[] = [];
  for (const { file, value } of secrets) {
    const path = join(folder, file);
    if (existsSync(path)) {
      kept.push(path);
      continue;
    }
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      writeFileSync(path, `${value}\n`, { mode: 0o600, flag: 'wx' });
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined) throw error;
      throw new Failure(`Cannot write "${path}": ${code}`, { recoverable: false, cause: error });
    }
    written.push(path);
  }
  return { written, kept };
}

/** The outcome, line by line. One that was kept may be of another monitor: only a person can tell. */
export function secretLines({ written, kept }: WrittenSecrets): string[] {
  return [
    ...written.map((file) => `Wrote ${file}`),
    ...kept.map((file) => `Left ${file} as it is: it was there already; see that it is the right secret`),
  ];
}
