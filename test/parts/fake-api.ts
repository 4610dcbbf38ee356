import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerKeys } from './certificates.ts';

/** What goes wrong with every product behind HTTP. */
export type ApiFaultSwitch =
  | 'none'
  | 'hang'
  | 'reset'
  | 'unauthorized'
  | 'forbidden'
  | 'server-error-html'
  | 'truncated-json'
  | 'wrong-content-type'
  | 'not-the-shape';

export interface ApiRequest {
  method: string;
  /** Without the query. */
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface ApiReply {
  status?: number;
  /** A text is sent as it is, anything else as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  delayMs?: number;
}

export interface FakeApi extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly requests: ApiRequest[];
  fault: ApiFaultSwitch;
}

/** The product's own behaviour: one reply per request. Undefined is a 404. */
export type Product = (request: ApiRequest) => ApiReply | undefined | Promise<ApiReply | undefined>;

/** A product's HTTP API on loopback, with the faults that all of them have. With keys it speaks TLS. */
export async function startFakeApi(product: Product, options: { keys?: ServerKeys } = {}): Promise<FakeApi> {
  const sockets = new Set<Socket>();
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://fake');
      const { method = 'GET', headers } = request;
      const asked = { method, path: url.pathname, query: url.searchParams, headers, body };
      fake.requests.push(asked);
      void reply(response, { asked, product, fault: fake.fault });
    });
  };
  const server = options.keys === undefined ? createServer(listener) : createTlsServer(options.keys, listener);
  server.on('connection', (socket: Socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const fake: FakeApi = {
    url: `${options.keys === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    requests: [],
    fault: 'none',
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
}

const json = { 'content-type': 'application/json' };
const html = { 'content-type': 'text/html' };

/** What a fault answers instead of the product. */
const faulty: Partial<Record<ApiFaultSwitch, Rendered>> = {
  unauthorized: { status: 401, body: '{"message":"unauthorized"}', headers: json },
  forbidden: { status: 403, body: '{"message":"forbidden"}', headers: json },
  'server-error-html': { status: 500, body: '<html><body>Internal Server Error</body></html>', headers: html },
  'truncated-json': { status: 200, body: '{"data":[{"na', headers: json },
  'wrong-content-type': { status: 200, body: '<html><body>Welcome</body></html>', headers: html },
  'not-the-shape': { status: 200, body: '{"unexpected":true}', headers: json },
};

async function reply(
  response: ServerResponse,
  of: { asked: ApiRequest; product: Product; fault: ApiFaultSwitch },
): Promise<void> {
  if (of.fault === 'hang') return;
  if (of.fault === 'reset') {
    response.socket?.resetAndDestroy();
    return;
  }
  const canned = faulty[of.fault] ?? rendered(await of.product(of.asked));
  if (canned.delayMs !== undefined) await sleep(canned.delayMs);
  response.writeHead(canned.status, canned.headers).end(canned.body);
}

interface Rendered {
  status: number;
  body: string;
  headers: Record<string, string>;
  delayMs?: number | undefined;
}

function rendered(answer: ApiReply | undefined): Rendered {
  if (answer === undefined) return { status: 404, body: '{"message":"not found"}', headers: json };
  const isText = typeof answer.body === 'string';
  return {
    status: answer.status ?? 200,
    body: isText ? String(answer.body) : JSON.stringify(answer.body ?? null),
    headers: { ...(isText ? { 'content-type': 'text/plain' } : json), ...answer.headers },
    delayMs: answer.delayMs,
  };
}
