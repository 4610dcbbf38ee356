import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { startTls, starttlsProtocols } from './starttls.ts';

/** A connection on which the other side says these pieces and hangs up. */
function saying(pieces: readonly Uint8Array[]): Socket {
  const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  for (const piece of pieces) if (piece.length > 0) socket.push(Buffer.from(piece));
  // oxlint-disable-next-line unicorn/no-array-push-push -- a stream ends with null
  socket.push(null);
  return socket as Socket;
}

const heard = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc
    .constantFrom(
      '220 x\r\n',
      '250 STARTTLS\r\n',
      '* OK x\r\n',
      'a1 OK\r\n',
      '+OK\r\n',
      'OK\r\n',
      '<proceed',
      'S',
      '\n',
    )
    .map((text) => new TextEncoder().encode(text)),
);

test.each(starttlsProtocols)('%s ends with a word whatever is said, and never hangs', async (protocol) => {
  await fc.assert(
    fc.asyncProperty(fc.array(heard, { maxLength: 6 }), async (pieces) => {
      const refusal = await startTls(saying(pieces), protocol, 'mail.example');
      expect(refusal === undefined || refusal.length > 0).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('talk without end is ended', async () => {
  const flood = Array.from({ length: 40 }, () => Buffer.alloc(1_000, '2'));
  expect(await startTls(saying(flood), 'smtp', 'x')).toBe('the server talks without end');
});
