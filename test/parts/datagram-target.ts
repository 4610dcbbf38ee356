import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** A UDP server that answers each datagram with what `reply` makes of it, and nothing when it makes nothing. */
export interface DatagramTarget extends AsyncDisposable {
  readonly port: number;
  readonly received: Buffer[];
}

export async function startDatagramTarget(
  reply: (datagram: Buffer) => Buffer | readonly Buffer[] | undefined,
): Promise<DatagramTarget> {
  const socket = createSocket('udp4');
  const received: Buffer[] = [];
  socket.on('message', (datagram, { port, address }) => {
    received.push(datagram);
    for (const answer of [reply(datagram) ?? []].flat()) socket.send(answer, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    port: socket.address().port,
    received,
    async [Symbol.asyncDispose]() {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
}
