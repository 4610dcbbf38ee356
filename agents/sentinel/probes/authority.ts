import { createPrivateKey, X509Certificate } from 'node:crypto';
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

/** A certificate with its key, and a text that changes when one of the files does and holds nothing of them. */
type ClientCertificate = { ok: true; cert: string; key: string; version: string } | { ok: false; reason: string };

/** Reads both files at each look: they are small, and what renews them replaces one after the other. */
export function readClientCertificate(
  files: { certFile: string; keyFile: string },
  baseFolder: string,
): ClientCertificate {
  const texts: string[] = [];
  const versions: string[] = [];
  for (const file of [files.certFile, files.keyFile]) {
    try {
      const path = absolutePath(file, baseFolder);
      const { mtimeMs, size, ino } = statSync(path);
      if (size > maximumBytes) return { ok: false, reason: `"${file}" is too large for a certificate` };
      texts.push(readFileSync(path, 'utf8'));
      versions.push(`${path} ${mtimeMs} ${size} ${ino}`);
    } catch (error) {
      return { ok: false, reason: oneLine(`cannot read "${file}": ${messageOf(error)}`, 300) };
    }
  }
  const [cert = '', key = ''] = texts;
  return pairFault(cert, key) ?? { ok: true, cert, key, version: versions.join(' ') };
}

/** A key that is not the certificate's would only be told by the server, as "handshake failure". */
function pairFault(cert: string, key: string): { ok: false; reason: string } | undefined {
  try {
    const fits = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
    return fits ? undefined : { ok: false, reason: 'the key is not that of the client certificate' };
  } catch {
    // OpenSSL's own words may quote the file.
    return { ok: false, reason: 'the client certificate or its key is not PEM that can be read' };
  }
}
