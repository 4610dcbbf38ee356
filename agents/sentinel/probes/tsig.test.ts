import { decode, encode } from 'dns-packet';
import { array, assert, integer, nat, property, tuple, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkReply, signQuery, type TsigKey } from './tsig.ts';

const key: TsigKey = { name: 'Lab.Transfer.', algorithm: 'hmac-sha256', secret: Buffer.from('a secret of the house') };
const nowMs = Date.UTC(2026, 10, 20);
const query = encode({ type: 'query', id: 7, questions: [{ type: 'AXFR', name: 'lab.test' }] });

/** Signed as a server signs: over what the question was signed with. */
function replyWith(of: { key: TsigKey; nowMs: number }): { reply: Buffer; mac: Buffer; signedBytes: number } {
  const { mac } = signQuery(query, key, nowMs);
  const answer = encode({
    type: 'response',
    id: 7,
    questions: [{ type: 'AXFR', name: 'lab.test' }],
    answers: [{ type: 'A', name: 'www.lab.test', data: '192.0.2.1' }],
  });
  const prefix = Buffer.alloc(2);
  prefix.writeUInt16BE(mac.length);
  // The signature over prefix, ours and the answer together; its record is then put behind the answer alone.
  const whole = signQuery(Buffer.concat([prefix, mac, answer]), of.key, of.nowMs).signed;
  const reply = Buffer.concat([answer, whole.subarray(prefix.length + mac.length + answer.length)]);
  reply.writeUInt16BE(1, 10);
  reply.copy(reply, reply.length - 6, 0, 2);
  return { reply, mac, signedBytes: answer.length };
}

describe('a signature', () => {
  test('is one more additional record, which every decoder can step over', () => {
    const { signed } = signQuery(query, key, nowMs);
    const { additionals = [] } = decode(signed);
    expect(additionals.map(({ type, name }) => `${type} ${name}`)).toEqual(['TSIG lab.transfer']);
  });

  test('of the same key is good, within five minutes', () => {
    const { reply, mac } = replyWith({ key, nowMs });
    expect(checkReply(reply, { key, mac, nowMs })).toEqual({ is: 'good' });
    expect(checkReply(reply, { key, mac, nowMs: nowMs + 299_000 })).toEqual({ is: 'good' });
    expect(checkReply(reply, { key, mac, nowMs: nowMs + 301_000 })).toEqual({ is: 'unproven' });
  });

  test('of another secret, over another question, and none at all prove nothing', () => {
    const other = { ...key, secret: Buffer.from('another secret') };
    const { reply, mac } = replyWith({ key: other, nowMs });
    expect(checkReply(reply, { key, mac, nowMs })).toEqual({ is: 'unproven' });
    const good = replyWith({ key, nowMs });
    expect(checkReply(good.reply, { key, mac: Buffer.alloc(32), nowMs })).toEqual({ is: 'unproven' });
    expect(checkReply(query, { key, mac, nowMs })).toEqual({ is: 'unproven' });
  });

  test('no answer with a changed byte is good', () => {
    const { reply, mac, signedBytes } = replyWith({ key, nowMs });
    // Of the id that which the signature names counts: a server in between may have changed the first two bytes.
    assert(
      property(integer({ min: 2, max: signedBytes - 1 }), integer({ min: 1, max: 255 }), (at, by) => {
        const changed = Buffer.from(reply);
        changed[at] = ((changed[at] ?? 0) + by) % 256;
        expect(checkReply(changed, { key, mac, nowMs }).is).not.toBe('good');
      }),
    );
  });

  test('whatever is sent is a verdict', () => {
    const { reply, mac } = replyWith({ key, nowMs });
    const mutated = tuple(array(tuple(nat(reply.length - 1), nat(255)), { maxLength: 8 }), nat(reply.length)).map(
      ([changes, length]) => {
        const bytes = Buffer.from(reply);
        for (const [at, value] of changes) bytes[at] = value;
        return bytes.subarray(0, length);
      },
    );
    assert(
      property(mutated, (bytes) => {
        expect(checkReply(bytes, { key, mac, nowMs }).is).toMatch(/good|refused|unproven/);
      }),
    );
    assert(
      property(uint8Array({ maxLength: 200 }), (bytes) => {
        expect(checkReply(Buffer.from(bytes), { key, mac, nowMs }).is).not.toBe('good');
      }),
    );
  });
});
