import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign as signBytes,
} from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonical } from './canonical.ts';
import { codeOf, Failure, messageOf } from './failure.ts';
import { makeFolder } from './make-folder.ts';

/** Signs values with an ed25519 key. `keyId` names the key beside each signature. */
export interface Signer {
  keyId: string;
  /** Signature over the canonical text of a value, base64url. What kind of value it is must be part of the value. */
  sign(value: unknown): string;
}

const secretBytes = 32;
/** No other text that Lares or anybody else signs with this key begins like this. */
const signaturePrefix = 'lares.signature/1\n';

/**
 * The key pair `<name>.key` and `<name>.pub` in the folder, made at first use. Contract: processes that start at once
 * end up with the same key.
 */
export function loadSigner(folder: string, name: string): Signer {
  const file = join(folder, `${name}.key`);
  const pem = loadOrCreate(file, 0o600, () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  });
  const privateKey = parsed(file, () => createPrivateKey(pem));
  const publicKey = createPublicKey(privateKey);
  // Everybody may read it: the worker checks approvals with it.
  loadOrCreate(join(folder, `${name}.pub`), 0o644, () => publicKey.export({ type: 'spki', format: 'pem' }).toString());
  return {
    keyId: keyIdOf(publicKey),
    sign: (value) => signBytes(null, signedBytes(value), privateKey).toString('base64url'),
  };
}

/** A public key in PEM, as `loadSigner` leaves it. */
export function loadPublicKey(file: string): KeyObject {
  const key = parsed(file, () => createPublicKey(readFileSync(file)));
  if (key.asymmetricKeyType !== 'ed25519') throw unusable(file, 'it is no ed25519 key');
  return key;
}

/** Names a public key: the beginning of the SHA-256 of its DER form. */
export function keyIdOf(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return `ed25519-${createHash('sha256').update(der).digest('hex').slice(0, 32)}`;
}

/** The bytes that a signature over a value covers. */
export function signedBytes(value: unknown): Buffer {
  return Buffer.from(signaturePrefix + canonical(value));
}

/** 32 random bytes in `<name>.secret` as hex, made at first use: passwords of the bus, the key of a journal. */
export function loadSecret(folder: string, name: string): Buffer {
  const file = join(folder, `${name}.secret`);
  const text = loadOrCreate(file, 0o600, () => `${randomBytes(secretBytes).toString('hex')}\n`).trim();
  if (!/^[0-9a-f]{64}$/.test(text)) throw unusable(file, 'it does not hold 64 hexadecimal digits');
  return Buffer.from(text, 'hex');
}

/**
 * Written whole and flushed under another name, then linked: a crash leaves no half key, and of two processes one makes
 * the file and both read it.
 */
function loadOrCreate(file: string, mode: number, content: () => string): string {
  const existing = readPrivate(file, mode);
  if (existing !== undefined) return existing;
  const folder = join(file, '..');
  makeFolder(folder);
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    writeFileSync(temporary, content(), { mode, flag: 'wx', flush: true });
    linkSync(temporary, file);
    syncFolder(folder);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw unusable(file, messageOf(error), error);
  } finally {
    rmSync(temporary, { force: true });
  }
  return readFileSync(file, 'utf8');
}

function readPrivate(file: string, mode: number): string | undefined {
  try {
    if (mode === 0o600 && (statSync(file).mode & 0o077) !== 0) {
      throw unusable(file, `others may read it; run "chmod 600 ${file}"`);
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error instanceof Failure ? error : unusable(file, messageOf(error), error);
  }
}

/** Without it a power cut may forget the name of a file whose content is safe. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}

function parsed(file: string, parse: () => KeyObject): KeyObject {
  try {
    return parse();
  } catch (error) {
    throw unusable(file, codeOf(error) === 'ENOENT' ? 'it does not exist' : 'it is no key in PEM', error);
  }
}

function unusable(file: string, reason: string, cause?: unknown): Failure {
  return new Failure(`Cannot use key file "${file}": ${reason}`, { recoverable: false, cause });
}
