import { readFile, stat } from 'node:fs/promises';
import { codeOf } from '#bus/failure.ts';
import { absolutePath } from '#config/paths.ts';

/** Larger than any inventory or export that a person keeps. */
const maximumBytes = 8_000_000;

/** A text file of this machine, or why it cannot be read. Never waits: what is no regular file is refused. */
export async function readBounded(
  file: string,
  baseFolder: string,
): Promise<{ ok: true; text: string } | { ok: false; reason: string }> {
  const path = absolutePath(file, baseFolder);
  try {
    const found = await stat(path);
    if (!found.isFile()) return { ok: false, reason: `"${path}" is no regular file` };
    if (found.size > maximumBytes) return { ok: false, reason: `"${path}" has more than ${maximumBytes} bytes` };
    return { ok: true, text: await readFile(path, 'utf8') };
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    const reason = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
    return { ok: false, reason: `"${path}" ${reason}` };
  }
}
