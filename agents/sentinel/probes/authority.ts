import { readFileSync, statSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { absolutePath } from '#config/paths.ts';
import { messageOf } from '#bus/failure.ts';
import { oneLine } from './text.ts';

/** No bundle of authorities is larger. */
const maximumBytes = 4_194_304;

/** Authorities to trust beside the usual ones, and a key that changes when the file does. */
export type Authorities = { ok: true; ca: string[]; version: string } | { ok: false; reason: string };

const read = new Map<string, { version: string; ca: string[] }>();

/** A file with certificates in PEM, read again only after it changed. */
export function readAuthorities(file: string, baseFolder: string): Authorities {
  const path = absolutePath(file, baseFolder);
  try {
    const { mtimeMs, size, ino } = statSync(path);
    if (size > maximumBytes) return { ok: false, reason: `"${file}" is too large for certificates` };
    const version = `${path} ${mtimeMs} ${size} ${ino}`;
    const known = read.get(path);
    if (known?.version === version) return { ok: true, ...known };
    const text = readFileSync(path, 'utf8');
    if (!text.includes('-----BEGIN CERTIFICATE-----')) return { ok: false, reason: `"${file}" holds no certificate` };
    const fresh = { version, ca: [...rootCertificates, text] };
    read.set(path, fresh);
    return { ok: true, ...fresh };
  } catch (error) {
    return { ok: false, reason: oneLine(`cannot read "${file}": ${messageOf(error)}`, 300) };
  }
}
