import type { Labels } from './fields.ts';

const offsetBasis = 0xcbf29ce484222325n;
const prime = 0x100000001b3n;
const mask = 0xffffffffffffffffn;
const separator = 0xff;

/**
 * Alertmanager's fingerprint: 64-bit FNV-1a over name 0xFF value 0xFF, label names in byte order
 * (prometheus/common `model/signature.go`). 16 hex digits.
 */
export function fingerprintOf(labels: Labels): string {
  let hash = offsetBasis;
  const add = (byte: number): void => {
    hash = ((hash ^ BigInt(byte)) * prime) & mask;
  };
  const names = Object.keys(labels).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const name of names) {
    for (const byte of Buffer.from(name)) add(byte);
    add(separator);
    for (const byte of Buffer.from(labels[name] ?? '')) add(byte);
    add(separator);
  }
  return hash.toString(16).padStart(16, '0');
}
