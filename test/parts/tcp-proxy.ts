import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A wire between a client and a server that can be cut. */
interface TcpProxy extends AsyncDisposable {
  port: number;
  /** Connections made so far. */
  readonly connections: number;
  /** Cuts all connections; new ones are let through. */
  cut(): void;
  /** Cuts all connections and refuses new ones until `open`. */
  block(): void;
  open(): void;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let blocked = false;
  const server = createServer({ noDelay: true }, (client) => {
    if (blocked) return void client.destroy();
    connections += 1;
    const target = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: address !== null && typeof address === 'object' ? address.port : 0,
    get connections() {
      return connections;
    },
    cut,
    block() {
      blocked = true;
      cut();
    },
    open() {
      blocked = false;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      cut();
      await once(server, 'close');
    },
  };
}
