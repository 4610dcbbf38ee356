import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { HTTPException } from 'hono/http-exception';
import { Failure, messageOf } from '#bus/failure.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Log } from './log.ts';
import { createRateLimit } from './rate-limit.ts';

/** One request, already bounded: the body is at most 100 kB (`/ping` bodies keep 10 kB of it). */
export interface HttpRequest {
  method: string;
  /** Values of the `:name` parts of the route. */
  parameters: Record<string, string>;
  query: URLSearchParams;
  headers: Headers;
  body: string;
}

export interface HttpAnswer {
  status: number;
  body: string;
  type?: string;
}

type Handler = (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;

/** The one HTTP listener of a process, on loopback unless configured: `/healthz`, `/metrics`, heartbeats. */
export interface HttpSurface {
  /** `path` in hono's syntax: `/ping/:id`. Routes are added before `listen`. */
  route(methods: readonly string[], path: string, handler: Handler): void;
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

type Environment = { Bindings: HttpBindings };

const maximumBodyBytes = 100_000;
/** For each client address: far above any monitoring, far below what would hurt. */
const rate = { perSecond: 100, burst: 400 };
const closeGraceMs = 2_000;

export function createHttpSurface(options: HttpOptions): HttpListener {
  const app = createApp(options);
  const methodsOf = new Map<string, Set<string>>();
  let server: Server | undefined;
  return {
    route(methods, path, handler) {
      if (server !== undefined) throw new TypeError(`Cannot add the route "${path}" after listen`);
      const known = methodsOf.get(path) ?? new Set();
      methodsOf.set(path, new Set([...known, ...methods]));
      // hono answers HEAD from the GET route and drops the body.
      const registered = methods.map((method) => (method === 'HEAD' ? 'GET' : method));
      app.on([...new Set(registered)], path, async (context) => toResponse(await handler(await toRequest(context))));
    },
    async listen() {
      if (options.address === '') throw new Failure('Cannot listen on an empty address', { recoverable: false });
      for (const [path, methods] of methodsOf) app.all(path, () => refuse(405, { allow: [...methods].join(', ') }));
      server = await listenOn(app, options);
      return { port: (server.address() as AddressInfo).port };
    },
    async close() {
      if (server !== undefined) await closeServer(server, options.clock ?? systemClock);
    },
  };
}

function createApp(options: HttpOptions): Hono<Environment> {
  const app = new Hono<Environment>();
  const limit = createRateLimit({ ...rate, clock: options.clock ?? systemClock });
  app.use(async (context, next) => {
    if (!limit.take(context.env.incoming.socket.remoteAddress ?? '')) return refuse(429, { 'retry-after': '1' });
    await next();
    context.header('x-content-type-options', 'nosniff');
    context.header('cache-control', 'no-store');
    return undefined;
  });
  app.use(bodyLimit({ maxSize: maximumBodyBytes, onError: () => refuse(413) }));
  app.notFound(() => refuse(404));
  app.onError((error, context) => {
    if (error instanceof HTTPException) return error.getResponse();
    const reason = messageOf(error);
    options.log.error({ path: context.req.path.slice(0, 200), reason, stack: error.stack }, 'a request failed');
    return error instanceof Failure ? refuse(503) : refuse(500);
  });
  return app;
}

const sentences: Record<number, string> = {
  404: 'not found\n',
  405: 'method not allowed\n',
  413: 'body too large\n',
  429: 'too many requests\n',
  500: 'internal error\n',
  503: 'not possible now\n',
};

function refuse(status: number, headers: Record<string, string> = {}): Response {
  return new Response(sentences[status] ?? '', { status, headers: { 'content-type': 'text/plain', ...headers } });
}

async function toRequest(context: Context<Environment>): Promise<HttpRequest> {
  const { req } = context;
  return {
    method: req.method,
    parameters: { ...(req.param() as Record<string, string>) },
    query: new URL(req.url).searchParams,
    headers: req.raw.headers,
    body: req.method === 'GET' || req.method === 'HEAD' ? '' : await req.text(),
  };
}

function toResponse(answer: HttpAnswer): Response {
  const hasBody = answer.status !== 204 && answer.status !== 304;
  return new Response(hasBody ? answer.body : null, {
    status: answer.status,
    headers: { 'content-type': answer.type ?? 'text/plain; charset=utf-8' },
  });
}

async function listenOn(app: Hono<Environment>, options: HttpOptions): Promise<Server> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: { headersTimeout: 10_000, requestTimeout: 15_000, keepAliveTimeout: 5_000, noDelay: true },
  }) as Server;
  server.maxConnections = 512;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host: options.address, port: options.port }, resolve);
  try {
    await promise;
  } catch (error) {
    throw new Failure(`Cannot listen on ${options.address}:${options.port}: ${reasonOf(error)}`, {
      recoverable: false,
      cause: error,
    });
  }
  server.off('error', reject);
  server.on('error', (error) => options.log.error({ reason: messageOf(error) }, 'the HTTP listener failed'));
  return server;
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
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
