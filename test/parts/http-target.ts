import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { ServerKeys } from './certificates.ts';

/** What the target does with a request from now on. */
export type Behaviour =
  | { does: 'answer'; status?: number; body?: string; type?: string; headers?: Record<string, string> }
  /** Accepts and says nothing. */
  | { does: 'hang' }
  /** Sends the head and then nothing. */
  | { does: 'hang-in-body' }
  | { does: 'slow'; ms: number }
  /** Promises more bytes than it sends, then closes. */
  | { does: 'truncate' }
  /** Closes without an answer, by TCP reset. */
  | { does: 'reset' }
  /** A body without an end, as fast as it is read. */
  | { does: 'huge' }
  /** Redirects to itself for ever. */
  | { does: 'loop' }
  /** Bytes that are not HTTP. */
  | { does: 'garbage' };

interface HttpTarget extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  behaviour: Behaviour;
  readonly requests: { method: string; path: string; headers: IncomingMessage['headers']; body: string }[];
  /** Connections accepted so far. */
  readonly connections: () => number;
  /** Bytes of the body that were handed to the system. */
  readonly sentBytes: () => number;
  /** Closes all connections that are open now, as a server does that restarts. */
  dropConnections(): void;
}

/** A web server with switches for everything that goes wrong on the web. With keys it speaks TLS. */
export async function startHttpTarget(options: { keys?: ServerKeys; behaviour?: Behaviour } = {}): Promise<HttpTarget> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let sentBytes = 0;
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { method = '', url: path = '', headers } = request;
      target.requests.push({ method, path, headers, body });
      misbehave(target.behaviour, response, (bytes) => (sentBytes += bytes));
    });
  };
  const server = options.keys === undefined ? createServer(listener) : createTlsServer(options.keys, listener);
  server.on('connection', (socket: Socket) => {
    connections += 1;
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A client that gives up in the middle is what some tests are about.
    socket.on('error', () => sockets.delete(socket));
  });
  const port = await listen(server);
  const target: HttpTarget = {
    url: `${options.keys === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    behaviour: options.behaviour ?? { does: 'answer' },
    requests: [],
    connections: () => connections,
    sentBytes: () => sentBytes,
    dropConnections: () => sockets.forEach((socket) => socket.destroy()),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return target;
}

function misbehave(behaviour: Behaviour, response: ServerResponse, onSent: (bytes: number) => void): void {
  switch (behaviour.does) {
    case 'answer':
      answer(behaviour, response);
      return;
    case 'hang':
      return;
    case 'hang-in-body':
      response.writeHead(200, { 'content-length': '100' }).flushHeaders();
      return;
    case 'slow':
      setTimeout(() => response.end('late'), behaviour.ms);
      return;
    case 'truncate':
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"status":"o', () => response.socket?.end());
      return;
    case 'reset':
      response.socket?.resetAndDestroy();
      return;
    case 'huge':
      response.writeHead(200, { 'content-type': 'text/plain' });
      flood(response, onSent);
      return;
    case 'loop':
      response.writeHead(302, { location: `/again-${Math.random()}` }).end();
      return;
    case 'garbage':
      response.socket?.end('SSH-2.0-OpenSSH_9.2p1\r\n\u001b[31m<b>\r\n\r\n');
      return;
  }
}

function answer(behaviour: Extract<Behaviour, { does: 'answer' }>, response: ServerResponse): void {
  const { status = 200, body = 'ok', type = 'text/plain', headers = {} } = behaviour;
  response.writeHead(status, { 'content-type': type, ...headers }).end(body);
}

const piece = Buffer.alloc(65_536, 'x');

function flood(response: ServerResponse, onSent: (bytes: number) => void): void {
  while (!response.destroyed) {
    onSent(piece.length);
    if (!response.write(piece)) {
      response.once('drain', () => flood(response, onSent));
      return;
    }
  }
}

function listen(server: {
  listen(port: number, host: string, ready: () => void): unknown;
  address(): unknown;
}): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  return promise;
}
