import { encode } from 'dns-packet';
import { array, assert, asyncProperty, nat, oneof, pre, property, tuple, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkContext } from '../../../test/parts/check-context.ts';
import { startDatagramTarget } from '../../../test/parts/datagram-target.ts';
import { askDns } from './dns.ts';
import { answerLines, plainValue, serialDistance } from './dns-record.ts';
import { lagOf } from './zone-serial.ts';

describe('serials', () => {
  test.each<[number, number, number | undefined]>([
    [1, 1, 0],
    [2, 1, 1],
    [1, 2, -1],
    [0, 0xffff_ffff, 1],
    [0xffff_ffff, 0, -1],
    [2_026_112_001, 2_026_111_909, 92],
    [0x8000_0000, 0, undefined],
  ])('%d is ahead of %d by %s', (a, b, distance) => {
    expect(serialDistance(a, b)).toBe(distance);
  });

  test('distance turns its sign with its sides and adding it leads back', () => {
    assert(
      property(nat(0xffff_ffff), nat(0xffff_ffff), (a, b) => {
        const there = serialDistance(a, b);
        pre(there !== undefined);
        expect(there === 0 ? 0 : -there).toBe(serialDistance(b, a));
        expect((b + there) >>> 0).toBe(a);
      }),
    );
  });
});

test('values compare without case, last dot and the ways to write an address, whatever a server gives', () => {
  expect(plainValue('WWW.Example.org.')).toBe('www.example.org');
  expect(plainValue('2001:DB8:0:0::1')).toBe('2001:db8::1');
  expect(plainValue('fe80::1%x')).toBe('fe80::1%x');
});

describe('the time a secondary has been behind', () => {
  test('begins when it is seen and lasts while it lacks the same serial', () => {
    const begun = lagOf(undefined, { primary: 5, serial: 4, now: 100 });
    expect(begun).toEqual({ serial: 5, since: 100 });
    expect(lagOf(begun, { primary: 9, serial: 4, now: 500 })).toEqual(begun);
  });

  test('begins anew once it has what it lacked, and ends when it has all', () => {
    const known = { serial: 5, since: 100 };
    expect(lagOf(known, { primary: 6, serial: 5, now: 500 })).toEqual({ serial: 6, since: 500 });
    expect(lagOf(known, { primary: 5, serial: 5, now: 500 })).toBeUndefined();
  });

  test('lasts for one that is ahead: it never gets the older zone', () => {
    expect(lagOf({ serial: 5, since: 100 }, { primary: 5, serial: 7, now: 500 })).toEqual({ serial: 5, since: 100 });
  });
});

test('whatever a server sends is an end with bounded words', async () => {
  const whole = encode({
    type: 'response',
    id: 0,
    questions: [{ type: 'TXT', name: 'a.test' }],
    answers: [{ type: 'TXT', name: 'a.test', ttl: 1, data: ['x'.repeat(200)] }],
  });
  let reply = Buffer.alloc(0);
  await using server = await startDatagramTarget((query) => {
    const answer = Buffer.concat([query.subarray(0, 2), reply]);
    // Not cut short: there is nobody at the TCP port.
    if (answer.length > 2) answer[2] = (answer[2] ?? 0) & 0xfd;
    return answer;
  });
  const question = {
    server: { address: '127.0.0.1', port: server.port },
    transport: 'udp',
    name: 'a.test',
    type: 'TXT',
    recursion: false,
    giveUpAfterMs: 1_000,
  } as const;
  const mutated = array(tuple(nat(whole.length - 1), nat(255)), { maxLength: 8 }).map((changes) => {
    const bytes = Buffer.from(whole);
    for (const [at, value] of changes) bytes[at] = value;
    return bytes.subarray(2);
  });
  const random = uint8Array({ minLength: 10, maxLength: 600 }).map((bytes) => Buffer.from(bytes));
  await assert(
    asyncProperty(oneof(mutated, random), async (bytes) => {
      reply = bytes;
      const lines = answerLines(await askDns(question, checkContext()));
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(500);
    }),
    { numRuns: 300 },
  );
});
