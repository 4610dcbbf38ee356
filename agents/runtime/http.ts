import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { codeOf, Failure, messageOf } from '#bus/failure.ts';
import { type Clock, systemClock } from './clock.ts';
import { HttpRoutes } from './http-routes.ts';
import type { Log } from './log.ts';
import { createServer } from './node-http.ts';
import { createRateLimit, type RateLimit } from './rate-limit.ts';

/** A request before its body is read. */
export interface HttpHead {
  method: string;
  /** Values of the `:name` parts of the route, and of a final `*`. */
  parameters: Record<string, string>;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  /** Of the socket: a proxy's, when there is one. */
  remoteAddress: string;
}

/** One request, already bounded: the body is at most as large as its route allows. */
export interface HttpRequest extends HttpHead {
  /** `bytes` as UTF-8. */
  body: string;
  bytes: Buffer;
}

export interface HttpAnswer {
  status: number;
  body: string;
  type?: string;
  headers?: Record<string, string>;
}

type Handler = (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;

/** What answers a route, where it wants to be asked before the body is read. */
interface Route {
  handler: Handler;
  /** A larger body is refused with 413. Default 100,000. */
  maximumBodyBytes?: (head: HttpHead) => number;
  /** Answers in place of the handler, before the body is read. */
  admit?: (head: HttpHead) => HttpAnswer | undefined;
}

/** The one HTTP listener of a process, on loopback unless configured: `/healthz`, `/metrics`, heartbeats. */
export interface HttpSurface {
  /** `path` may have parts with a name, `/ping/:id`, and end in `/*`. Routes are added before `listen`. */
  route(methods: readonly string[], path: string, handler: Handler | Route): void;
}

export interface HttpListener extends HttpSurface {
  /** Throws a Failure when the address cannot be had. */
  listen(): Promise<{ port: number }>;
  /** Answers what has begun, for at most two seconds. */
  close(): Promise<void>;
}

export interface HttpOptions {
  /** An address of this machine; `127.0.0.1` keeps it private. Never empty: that would mean every address. */
  address: string;
  port: number;
  log: Log;
  clock?: Clock;
}

const maximumBodyBytes = 100_000;
/** For each client address: far above any monitoring, far below what would hurt. */
const rate = { perSecond: 100, burst: 400 };
const closeGraceMs = 2_000;
const timeouts = { headersTimeout: 10_000, requestTimeout: 15_000, keepAliveTimeout: 5_000 };

interface Served {
  options: HttpOptions;
  routes: HttpRoutes<Route>;
  limit: RateLimit;
}

export function createHttpSurface(options: HttpOptions): HttpListener {
  const clock = options.clock ?? systemClock;
  const served: Served = { options, routes: new HttpRoutes(), limit: createRateLimit({ ...rate, clock }) };
  let server: Server | undefined;
  return {
    route(methods, path, handler) {
      if (server !== undefined) throw new TypeError(`Cannot add the route "${path}" after listen`);
      served.routes.add(methods, path, typeof handler === 'function' ? { handler } : handler);
    },
    async listen() {
      if (options.address === '') throw new Failure('Cannot listen on an empty address', { recoverable: false });
      server = await listenOn(served);
      return { port: (server.address() as AddressInfo).port };
    },
    async close() {
      if (server !== undefined) await closeServer(server, clock);
    },
  };
}

const sentences: Record<number, string> = {
  404: 'not found\n',
  405: 'method not allowed\n',
  413: 'body too large\n',
  429: 'too many requests\n',
  500: 'internal error\n',
  503: 'not possible now\n',
};

function refuse(status: number, headers: Record<string, string> = {}): HttpAnswer {
  return { status, body: sentences[status] ?? '', type: 'text/plain', headers };
}

async function serve(served: Served, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const answer = await answerTo(served, request).catch((error: unknown) => {
    const reason = messageOf(error);
    const stack = error instanceof Error ? error.stack : undefined;
    served.options.log.error({ path: request.url?.slice(0, 200), reason, stack }, 'a request failed');
    return refuse(error instanceof Failure ? 503 : 500);
  });
  if (answer === undefined) return;
  response.writeHead(answer.status, {
    'content-type': answer.type ?? 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    ...answer.headers,
  });
  const hasBody = answer.status !== 204 && answer.status !== 304;
  response.end(hasBody ? answer.body : undefined);
}

/** Undefined when the client went away. */
async function answerTo(served: Served, request: IncomingMessage): Promise<HttpAnswer | undefined> {
  if (!served.limit.take(request.socket.remoteAddress ?? '')) return refuse(429, { 'retry-after': '1' });
  const { method = '', url = '' } = request;
  const [path = ''] = url.split('?', 1);
  const found = served.routes.find(method, path);
  if (found.is === 'unknown') return refuse(404);
  if (found.is === 'other-method') return refuse(405, { allow: found.methods.join(', ') });
  const head: HttpHead = {
    method,
    parameters: found.parameters,
    query: new URLSearchParams(url.slice(path.length)),
    headers: request.headers,
    remoteAddress: request.socket.remoteAddress ?? '',
  };
  return answerOf(found.handler, head, request);
}

async function answerOf(route: Route, head: HttpHead, request: IncomingMessage): Promise<HttpAnswer | undefined> {
  const refusal = route.admit?.(head);
  if (refusal !== undefined) {
    // A client that is still sending never reads an answer whose connection is cut.
    request.resume();
    return refusal;
  }
  const sent = await readBody(request, route.maximumBodyBytes?.(head) ?? maximumBodyBytes);
  if (sent.is === 'too-large') return refuse(413);
  if (sent.is === 'broken') return undefined;
  return route.handler({ ...head, bytes: sent.bytes, body: sent.bytes.toString('utf8') });
}

type Sent = { is: 'read'; bytes: Buffer } | { is: 'too-large' } | { is: 'broken' };

async function readBody(request: IncomingMessage, maximumBytes: number): Promise<Sent> {
  if (Number(request.headers['content-length'] ?? 0) > maximumBytes) return { is: 'too-large' };
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= maximumBytes) chunks.push(chunk);
      else {
        // The rest is dropped as it comes: a client that is cut off while it sends never reads why.
        request.resume();
        return { is: 'too-large' };
      }
    }
  } catch {
    return { is: 'broken' };
  }
  return { is: 'read', bytes: Buffer.concat(chunks) };
}

async function listenOn(served: Served): Promise<Server> {
  const { options } = served;
  const server = createServer({ ...timeouts, noDelay: true }, (request, response) => {
    void serve(served, request, response);
  });
  server.maxConnections = 512;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host: options.address, port: options.port }, resolve);
  try {
    await promise;
  } catch (error) {
    throw new Failure(`Cannot listen on "${options.address}:${options.port}": ${reasonOf(error)}`, {
      // The address of a tunnel or of DHCP comes later than a start at boot: who supervises tries again.
      recoverable: codeOf(error) === 'EADDRNOTAVAIL',
      cause: error,
    });
  }
  server.off('error', reject);
  server.on('error', (error) => options.log.error({ reason: messageOf(error) }, 'the HTTP listener failed'));
  return server;
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  if (code === 'EADDRINUSE') return 'another program listens there; end it, or set http.port to another port';
  if (code === 'EADDRNOTAVAIL') return 'this machine does not have that address; set http.address to one of its own';
  return messageOf(error);
}

async function closeServer(server: Server, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  const cancel = clock.after(closeGraceMs, () => server.closeAllConnections());
  await promise;
  cancel();
}
