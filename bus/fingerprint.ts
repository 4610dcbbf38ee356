import type { Labels } from './fields.ts';

/** The offset basis 0xcbf29ce484222325 in halves: with big integers, 4 MB of labels take half a second. */
const basis = { high: 0xcbf29ce4, low: 0x84222325 };
/** The prime is 2^40 + 0x1b3. */
const prime = 0x1b3;
const separator = 0xff;

/**
 * Alertmanager's fingerprint: 64-bit FNV-1a over name 0xFF value 0xFF, label names in byte order
 * (prometheus/common `model/signature.go`). 16 hex digits.
 */
export function fingerprintOf(labels: Labels): string {
  let { high, low } = basis;
  const add = (byte: number): void => {
    const mixed = (low ^ byte) >>> 0;
    const product = mixed * prime;
    high = (Math.imul(high, prime) + Math.floor(product / 2 ** 32) + (mixed << 8)) >>> 0;
    low = product >>> 0;
  };
  const names = Object.keys(labels).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const name of names) {
    for (const byte of Buffer.from(name)) add(byte);
    add(separator);
    for (const byte of Buffer.from(labels[name] ?? '')) add(byte);
    add(separator);
  }
  return [high, low].map((half) => half.toString(16).padStart(8, '0')).join('');
}
