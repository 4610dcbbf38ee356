import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { fingerprintOf } from './fingerprint.ts';

it('is the one that Prometheus gives', () => {
  // prometheus/common model/signature_test.go, TestLabelsToSignature and TestMetricToFingerprint.
  expect(fingerprintOf({})).toBe(14695981039346656037n.toString(16));
  expect(fingerprintOf({ name: 'garland, briggs', fear: 'love is not enough' })).toBe(
    5799056148416392346n.toString(16),
  );
});

it('is 64-bit FNV-1a of any text', () => {
  const fnv = (bytes: readonly number[]): string => {
    const hash = bytes.reduce(
      (state, byte) => BigInt.asUintN(64, (state ^ BigInt(byte)) * 0x100000001b3n),
      0xcbf29ce484222325n,
    );
    return hash.toString(16).padStart(16, '0');
  };
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string({ unit: 'binary', maxLength: 200 }), (name, value) => {
      const bytes = [...Buffer.from(name), 0xff, ...Buffer.from(value), 0xff];
      expect(fingerprintOf({ [name]: value })).toBe(fnv(bytes));
    }),
  );
});

it('does not depend on the order of the labels', () => {
  const labels = fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ unit: 'binary', maxLength: 5 }));
  fc.assert(
    fc.property(labels, (given) => {
      const turned = Object.fromEntries(Object.entries(given).toReversed());
      expect(fingerprintOf(turned)).toBe(fingerprintOf(given));
      expect(fingerprintOf(given)).toMatch(/^[0-9a-f]{16}$/);
    }),
  );
});

it('moves when text moves between a name and its value', () => {
  expect(fingerprintOf({ ab: 'c' })).not.toBe(fingerprintOf({ a: 'bc' }));
  expect(fingerprintOf({ a: 'b', c: 'd' })).not.toBe(fingerprintOf({ a: 'bc', d: '' }));
});
