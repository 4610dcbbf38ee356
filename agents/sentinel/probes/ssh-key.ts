import { createHash, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto';
import { wireInteger, WireReader, wireString } from './ssh-wire.ts';

/** What goes into the hash that a server signs with its host key (RFC 5656, section 4; RFC 8731). */
interface Exchanged {
  ourIdentification: string;
  theirIdentification: string;
  ourKexInit: Buffer;
  theirKexInit: Buffer;
  hostKey: Buffer;
  ourPoint: Buffer;
  theirPoint: Buffer;
  shared: Buffer;
}

/** Whether the server holds the private part of the key that it shows: without, anybody could show a copy of it. */
export function isSignedBy(signature: Buffer, exchanged: Exchanged): boolean {
  const reader = new WireReader(signature);
  const algorithm = reader.string()?.toString('latin1');
  const bytes = reader.string();
  const key = publicKeyOf(exchanged.hostKey);
  if (algorithm === undefined || bytes === undefined || key === undefined) return false;
  try {
    return verifyWith({ algorithm, bytes, key }, exchangeHash(exchanged));
  } catch {
    // Foreign numbers that are no key or no signature: not signed.
    return false;
  }
}

function exchangeHash(of: Exchanged): Buffer {
  const hash = createHash('sha256');
  for (const text of [of.ourIdentification, of.theirIdentification]) hash.update(wireString(text));
  for (const bytes of [of.ourKexInit, of.theirKexInit, of.hostKey, of.ourPoint, of.theirPoint]) {
    hash.update(wireString(bytes));
  }
  return hash.update(wireInteger(of.shared)).digest();
}

function verifyWith(signed: { algorithm: string; bytes: Buffer; key: KeyObject }, hash: Buffer): boolean {
  const { algorithm, bytes, key } = signed;
  switch (algorithm) {
    case 'ssh-ed25519':
      return verify(null, hash, key, bytes);
    case 'rsa-sha2-512':
      return verify('sha512', hash, key, bytes);
    case 'rsa-sha2-256':
      return verify('sha256', hash, key, bytes);
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521': {
      const [digest, size] = curveFacts[algorithm];
      const reader = new WireReader(bytes);
      const numbers = [reader.string(), reader.string()].map((one) => fixed(one ?? Buffer.alloc(0), size));
      return verify(digest, hash, { key, dsaEncoding: 'ieee-p1363' }, Buffer.concat(numbers));
    }
    default:
      return false;
  }
}

/** Digest and bytes of a coordinate (RFC 5656, section 6.2.1). */
const curveFacts = {
  'ecdsa-sha2-nistp256': ['sha256', 32, 'P-256'],
  'ecdsa-sha2-nistp384': ['sha384', 48, 'P-384'],
  'ecdsa-sha2-nistp521': ['sha512', 66, 'P-521'],
} as const;

function publicKeyOf(blob: Buffer): KeyObject | undefined {
  const reader = new WireReader(blob);
  const type = reader.string()?.toString('latin1');
  const jwk = type === undefined ? undefined : jwkOf(type, reader);
  try {
    return jwk === undefined ? undefined : createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return undefined;
  }
}

function jwkOf(type: string, reader: WireReader): JsonWebKey | undefined {
  const first = reader.string();
  const second = reader.string();
  if (first === undefined) return undefined;
  if (type === 'ssh-ed25519') return { kty: 'OKP', crv: 'Ed25519', x: first.toString('base64url') };
  if (second === undefined) return undefined;
  if (type === 'ssh-rsa') return { kty: 'RSA', e: text(first), n: text(second) };
  if (type !== 'ecdsa-sha2-nistp256' && type !== 'ecdsa-sha2-nistp384' && type !== 'ecdsa-sha2-nistp521') {
    return undefined;
  }
  const [, size, crv] = curveFacts[type];
  // An uncompressed point: 4, x, y.
  if (second[0] !== 4 || second.length !== 1 + 2 * size) return undefined;
  return { kty: 'EC', crv, x: text(second.subarray(1, 1 + size), false), y: text(second.subarray(1 + size), false) };
}

/** Base64url; of integers without the leading zero of the sign. */
function text(bytes: Buffer, isInteger = true): string {
  return (isInteger && bytes[0] === 0 ? bytes.subarray(1) : bytes).toString('base64url');
}

function fixed(number: Buffer, size: number): Buffer {
  const digits = number[0] === 0 ? number.subarray(1) : number;
  return Buffer.concat([Buffer.alloc(Math.max(0, size - digits.length)), digits]);
}
