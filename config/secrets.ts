import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, Failure } from '#bus/failure.ts';
import { registerSecret } from '#bus/scrub.ts';
import { absolutePath } from './paths.ts';
import type { SecretRef } from './schema.ts';

/** No key or token is longer; a wrong path must not read a disk image into memory. */
const maximumBytes = 65_536;
const othersMayRead = 0o004;

/**
 * The secret that a reference names, without its final newline; from then on `scrub` removes it from every text. Throws
 * a Failure that says what to do and never holds the value. `warn` is told of a file that others may read.
 */
export function resolveSecret(ref: SecretRef, baseFolder: string, warn?: (message: string) => void): string {
  const { value, place } = read(ref, baseFolder, warn);
  const secret = value.replace(/\r?\n$/, '');
  if (secret === '') throw refuse(`${place} is empty`);
  if (/[\0\r\n]/.test(secret) && !secret.startsWith('-----BEGIN ')) throw refuse(`${place} has more than one line`);
  registerSecret(secret);
  return secret;
}

function read(ref: SecretRef, baseFolder: string, warn?: (message: string) => void): { value: string; place: string } {
  if (ref.env !== undefined) {
    const value = process.env[ref.env];
    if (value === undefined) throw refuse(`the environment variable "${ref.env}" is not set`);
    return { value, place: `the environment variable "${ref.env}"` };
  }
  if (ref.credential !== undefined) return readCredential(ref.credential);
  if (ref.file === undefined) throw refuse('the reference names no place');
  const file = absolutePath(ref.file, baseFolder);
  const value = readSmall(file);
  if ((statSync(file).mode & othersMayRead) !== 0) {
    warn?.(`Every user of this machine may read the secret in "${file}"; run: chmod 600 ${file}`);
  }
  return { value, place: `the file "${file}"` };
}

/** systemd puts the credentials of a service into a folder of its own, systemd.exec(5). */
function readCredential(name: string): { value: string; place: string } {
  const folder = process.env['CREDENTIALS_DIRECTORY'];
  if (folder === undefined) {
    const how = `LoadCredential=${name}:/path in the unit of a service, "systemd-run -p" and the same for a command`;
    throw refuse(`the credential "${name}" needs systemd: ${how}`);
  }
  if (!/^[\w.-]+$/.test(name) || name === '..' || name === '.') throw refuse(`"${name}" is not a credential's name`);
  return { value: readSmall(join(folder, name)), place: `the credential "${name}"` };
}

function readSmall(file: string): string {
  try {
    const found = statSync(file);
    if (!found.isFile()) throw refuse(`"${file}" is not a file`);
    if (found.size > maximumBytes) throw refuse(`"${file}" has ${found.size} bytes, more than any secret`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Failure) throw error;
    const code = codeOf(error) ?? '';
    throw refuse(`"${file}" ${reasons[code] ?? `cannot be read (${code})`}`, error);
  }
}

const reasons: Record<string, string> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read by this user',
  EISDIR: 'is a folder',
};

function refuse(reason: string, cause?: unknown): Failure {
  return new Failure(`Cannot read a secret: ${reason}`, { recoverable: false, cause });
}
