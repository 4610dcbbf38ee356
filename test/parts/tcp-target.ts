import { type AddressInfo, createServer, type Socket } from 'node:net';

/** A TCP server that does what `serve` does with each connection. */
export interface TcpTarget extends AsyncDisposable {
  readonly port: number;
}

export async function startTcpTarget(serve: (socket: Socket) => void): Promise<TcpTarget> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => sockets.delete(socket));
    serve(socket);
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
