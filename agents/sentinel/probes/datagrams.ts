import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { CheckContext } from '#agents/sentinel/check.ts';
import type { Endpoint } from './endpoint.ts';

interface DatagramExchange<T> {
  server: Endpoint;
  /** What is sent, made anew for each try. */
  make: () => Buffer;
  /** Reads what came in; undefined goes on waiting. */
  read: (datagram: Buffer) => T | undefined;
  tries: number;
  /** Between two tries. */
  everyMs: number;
}

/**
 * Sends a datagram until something comes back that can be read. A new socket has a new random port, and only datagrams of
 * the address and port that were asked come through it. Contract: the signal closes it; rejects with the socket's error.
 */
export async function exchangeDatagrams<T>(
  of: DatagramExchange<T>,
  { signal, clock }: { signal: AbortSignal; clock: CheckContext['clock'] },
): Promise<T> {
  const { server } = of;
  const at = isIP(server.address) === 0 ? await lookup(server.address) : undefined;
  signal.throwIfAborted();
  const family = at?.family ?? isIP(server.address);
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let cancelNext = (): void => undefined;
  const close = (): void => {
    cancelNext();
    socket.close();
  };
  signal.addEventListener('abort', close, { once: true });
  socket.on('error', reject);
  socket.on('message', (datagram) => {
    const read = of.read(datagram);
    if (read !== undefined) resolve(read);
  });
  const send = (triesLeft: number): void => {
    socket.send(of.make(), (error) => (error === null ? undefined : reject(error)));
    if (triesLeft > 1) cancelNext = clock.after(of.everyMs, () => send(triesLeft - 1));
  };
  socket.connect(server.port, at?.address ?? server.address, () => send(of.tries));
  return promise;
}
