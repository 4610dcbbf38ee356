import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allKinds } from './access.ts';
import { Failure } from './failure.ts';
import { decode, encode, filterOf, identityIn, maximumMessageBytes, topicOf } from './message.ts';
import { finding, type Finding } from './messages/finding.ts';
import { freeze } from './messages/freeze.ts';

const instant = fc
  .date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString());
const hex = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: length, maxLength: length });
const ident = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((text) => /^[^/+#\p{Cc}]+$/u.test(text));
const line = fc.string({ unit: 'grapheme', maxLength: 60 });

const anyFinding: fc.Arbitrary<Finding> = fc.record({
  fingerprint: hex(16),
  occurrence: ident,
  status: fc.constantFrom('firing', 'resolved'),
  condition: fc.constantFrom('problem', 'unknown', 'stale', 'flapping'),
  severity: fc.constantFrom('info', 'warning', 'critical'),
  check: ident,
  kind: ident,
  resource: line,
  labels: fc.dictionary(fc.constantFrom('host', 'job', '__name__', 'constructor', 'toString'), line),
  summary: line,
  value: fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0)),
  startsAt: instant,
  updatedAt: instant,
  evidence: fc.array(
    fc.record({
      kind: fc.constantFrom('log', 'change', 'values', 'history', 'state'),
      title: line,
      lines: fc.array(line, { maxLength: 5 }),
      truncated: fc.nat(),
    }),
    { maxLength: 3 },
  ),
});

describe('a message', () => {
  it('is the same after the wire', () => {
    fc.assert(
      fc.property(anyFinding, (sent) => {
        const decoded = decode(finding, encode(finding, sent));
        expect(decoded).toEqual({ ok: true, payload: sent });
      }),
    );
  });

  it('says its schema', () => {
    const bytes = encode(freeze, { frozen: true, by: 'a', reason: 'b', at: '2026-11-20T03:00:00Z' });
    expect(JSON.parse(bytes.toString())).toMatchObject({ schema: 'lares.freeze/1' });
  });

  it('is refused with a reason, whatever the bytes are, and nothing is thrown', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          for (const kind of allKinds) {
            const decoded = decode(kind, bytes);
            expect(decoded.ok).toBe(false);
          }
        },
      ),
    );
  });

  it('is refused when it is larger than a message may be, in both directions', () => {
    const large = {
      frozen: true,
      by: 'a',
      reason: 'x',
      at: '2026-11-20T03:00:00Z',
      padding: 'x'.repeat(maximumMessageBytes),
    };
    const bytes = Buffer.from(JSON.stringify({ schema: freeze.schemaId, ...large }));
    expect(decode(freeze, bytes)).toEqual({ ok: false, reason: `larger than ${maximumMessageBytes} bytes` });
  });

  it('with deeply nested JSON is refused', () => {
    const nested = `{"schema":"lares.freeze/1","frozen":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    expect(decode(freeze, Buffer.from(nested)).ok).toBe(false);
  });
});

describe('a topic', () => {
  it('gives back the identity it was made of', () => {
    fc.assert(
      fc.property(fc.constantFrom(...allKinds.filter(({ filter }) => filter.includes('+'))), ident, (kind, id) => {
        expect(identityIn('home', kind, topicOf('home', kind, id))).toBe(id);
      }),
    );
  });

  it('takes an identity as it is, also where it looks like a pattern', () => {
    for (const id of ['$&', '$1', '$$', "$'", '$`'])
      expect(topicOf('home', finding, id)).toBe(`lares/home/finding/${id}`);
  });

  it('belongs to one kind only', () => {
    for (const kind of allKinds) {
      const topic = topicOf('home', kind, 'x');
      const owners = allKinds.filter((other) => identityIn('home', other, topic) !== undefined);
      expect(owners).toEqual([kind]);
    }
  });

  it('is never left by an identity', () => {
    for (const id of ['', 'a/b', '+', '#', 'a\nb', 'x'.repeat(129)]) {
      expect(() => topicOf('home', finding, id)).toThrow(Failure);
    }
  });

  it('of another site or another depth is none of ours', () => {
    expect(identityIn('home', finding, 'lares/away/finding/x')).toBeUndefined();
    expect(identityIn('home', finding, 'lares/home/finding/x/y')).toBeUndefined();
    expect(identityIn('home', finding, 'lares/home/finding')).toBeUndefined();
    expect(filterOf('home', finding)).toBe('lares/home/finding/+');
  });
});
