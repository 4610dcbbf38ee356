import { createHash } from 'node:crypto';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import { messageOf } from '#bus/failure.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { type ApiAnswer, answered } from './api.ts';
import { readAuthorities } from './authority.ts';
import { startDeadline } from './deadline.ts';
import { classifyNetworkError } from './network-error.ts';
import { jsonOf, oneLine } from './text.ts';

/** How a TrueNAS is reached. The key goes over TLS only: TrueNAS revokes one that came in clear text. */
export interface TruenasAt {
  url: string;
  key: string;
  /** Where the user is needed for the login: from version 26 on. */
  user?: string | undefined;
  caFile?: string | undefined;
  verifyTls: boolean;
}

/** Largest answer of `alert.list` on a system with thousands of snapshots. */
const maximumBytes = 8_388_608;
const maximumConnections = 20;

/** JSON-RPC 2.0 over `wss://HOST/api/current`, TrueNAS 25.04 and newer. */
const Reply = z.object({
  id: z.number(),
  result: z.unknown().optional(),
  error: z
    .object({ message: z.string().default(''), data: z.object({ reason: z.string().nullish() }).nullish() })
    .optional(),
});

interface Connection {
  socket: WebSocket;
  waiting: Map<number, (reply: z.output<typeof Reply>) => void>;
  nextId: number;
  isLoggedIn: boolean;
}

/** One connection per system, kept: TrueNAS allows twenty logins a minute and then locks out for ten. */
const connections = new Map<string, Connection>();
/**
 * Until when a refused key is not tried again: as long as a lock would be, for what refused it may pass. By hash, for the
 * key itself is not kept here. The oldest goes first.
 */
const refusedUntil = new Map<string, number>();
const refusedMs = 600_000;
const maximumRefused = 200;

/** Calls one method. Contract: never throws but for the signal's reason; a lost connection is `silent`, once. */
export async function callTruenas<T>(
  at: TruenasAt,
  question: { method: string; params: readonly unknown[]; schema: z.ZodType<T> },
  context: CheckContext,
): Promise<ApiAnswer<T>> {
  const connection = await connectionTo(at, context);
  if (connection.is !== 'value') return connection;
  const reply = await ask(connection.value, question, context);
  if (reply.is !== 'value') return reply;
  const parsed = question.schema.safeParse(reply.value);
  if (parsed.success) return answered(parsed.data);
  return {
    is: 'unreadable',
    reason: `${question.method} has another shape at ${parsed.error.issues[0]?.path.join('.') ?? ''}`,
  };
}

async function connectionTo(at: TruenasAt, context: CheckContext): Promise<ApiAnswer<Connection>> {
  const name = createHash('sha256')
    .update(`${at.url} ${at.user ?? ''} ${at.key}`)
    .digest('hex');
  if (context.clock.now() < (refusedUntil.get(name) ?? 0)) return notAccepted;
  const known = connections.get(name);
  if (known !== undefined && known.socket.readyState === known.socket.OPEN && known.isLoggedIn) return answered(known);
  const opened = await open(at, context);
  if (opened.is !== 'value') return opened;
  const login = await logIn(opened.value, at, context);
  if (login.is !== 'value' || !login.value) {
    opened.value.socket.terminate();
    if (login.is !== 'value') return login;
    refuse(name, context);
    return notAccepted;
  }
  opened.value.isLoggedIn = true;
  forgetOldest();
  keep(name, opened.value, context.lasting);
  return opened;
}

const notAccepted = { is: 'unable', reason: 'it does not accept the API key' } as const;

function refuse(name: string, { clock }: CheckContext): void {
  refusedUntil.delete(name);
  refusedUntil.set(name, clock.now() + refusedMs);
  const [oldest] = refusedUntil.keys();
  if (refusedUntil.size > maximumRefused && oldest !== undefined) refusedUntil.delete(oldest);
}

function keep(name: string, connection: Connection, lasting: AbortSignal): void {
  connections.set(name, connection);
  const end = (): void => {
    connection.socket.terminate();
    if (connections.get(name) === connection) connections.delete(name);
  };
  lasting.addEventListener('abort', end, { once: true });
  connection.socket.once('close', () => lasting.removeEventListener('abort', end));
}

function forgetOldest(): void {
  for (const [name, { socket }] of connections) {
    if (connections.size < maximumConnections) return;
    socket.terminate();
    connections.delete(name);
  }
}

async function open(at: TruenasAt, context: CheckContext): Promise<ApiAnswer<Connection>> {
  const authorities = at.caFile === undefined ? undefined : readAuthorities(at.caFile, context.baseFolder);
  if (authorities?.ok === false) return { is: 'unable', reason: authorities.reason };
  const { WebSocket: Socket } = await import('ws');
  const address = new URL('/api/current', at.url);
  address.protocol = 'wss:';
  const socket = new Socket(address, {
    rejectUnauthorized: at.verifyTls,
    maxPayload: maximumBytes,
    ...(authorities !== undefined && { ca: authorities.ca }),
  });
  const connection: Connection = { socket, waiting: new Map(), nextId: 1, isLoggedIn: false };
  socket.on('message', (data: Buffer) => take(connection, data));
  const { promise, resolve } = Promise.withResolvers<ApiAnswer<Connection>>();
  const cancel = startDeadline({ ms: context.timeoutMs, context }, () => {
    socket.terminate();
    resolve({ is: 'silent', reason: 'no answer in time' });
  });
  socket.on('open', () => resolve(answered(connection)));
  socket.on('error', (error: Error) => {
    const { cause, text } = classifyNetworkError(error);
    resolve(cause === 'ours' ? { is: 'unable', reason: text } : { is: 'silent', reason: text });
  });
  socket.on('close', () => drop(connection));
  const end = await promise;
  cancel();
  context.signal.throwIfAborted();
  return end;
}

function drop(connection: Connection): void {
  connection.isLoggedIn = false;
  for (const [id, answer] of connection.waiting) answer({ id, error: { message: 'the connection was lost' } });
  connection.waiting.clear();
}

function take(connection: Connection, data: Buffer): void {
  const reply = Reply.safeParse(jsonOf(data.toString('utf8')));
  // Notifications have no id; nothing is subscribed to.
  if (!reply.success) return;
  connection.waiting.get(reply.data.id)?.(reply.data);
  connection.waiting.delete(reply.data.id);
}

async function logIn(connection: Connection, at: TruenasAt, context: CheckContext): Promise<ApiAnswer<boolean>> {
  if (at.user === undefined) {
    const question = { method: 'auth.login_with_api_key', params: [at.key] };
    const reply = await ask(connection, question, context);
    return reply.is === 'value' ? answered(reply.value === true) : reply;
  }
  const params = [{ mechanism: 'API_KEY_PLAIN', username: at.user, api_key: at.key }];
  const reply = await ask(connection, { method: 'auth.login_ex', params }, context);
  if (reply.is !== 'value') return reply;
  const result = z.object({ response_type: z.string() }).safeParse(reply.value);
  return answered(result.success && result.data.response_type === 'SUCCESS');
}

async function ask(
  connection: Connection,
  { method, params }: { method: string; params: readonly unknown[] },
  context: CheckContext,
): Promise<ApiAnswer<unknown>> {
  context.signal.throwIfAborted();
  const { socket, waiting } = connection;
  const id = connection.nextId;
  connection.nextId += 1;
  const { promise, resolve } = Promise.withResolvers<ApiAnswer<unknown>>();
  waiting.set(id, ({ result, error }) => {
    if (error === undefined) return resolve(answered(result));
    const why = error.data?.reason ?? error.message;
    resolve({ is: 'unreadable', reason: `${method} failed: ${oneLine(why, 200)}` });
  });
  const cancel = startDeadline({ ms: context.timeoutMs, context }, () => {
    waiting.delete(id);
    // Whoever does not answer one question may be hanging: the next look begins with a new connection.
    socket.terminate();
    resolve({ is: 'silent', reason: `no answer to ${method} in time` });
  });
  try {
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
  } catch (error) {
    resolve({ is: 'silent', reason: oneLine(messageOf(error), 200) });
  }
  const end = await promise;
  cancel();
  context.signal.throwIfAborted();
  return end;
}
