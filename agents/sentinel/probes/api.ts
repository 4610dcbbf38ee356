import { z } from 'zod';
import type { IncomingHttpHeaders } from 'undici/types/header.js';
import { Failure } from '#bus/failure.ts';
import { registerSecret, scrub } from '#bus/scrub.ts';
import { resolveSecret } from '#config/secrets.ts';
import type { SecretRef } from '#config/schema.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { readAuthorities } from './authority.ts';
import { startDeadline } from './deadline.ts';
import { type ExchangeEnd, Exchange } from './http-exchange.ts';
import { type HttpAgents, httpAgents, type TlsChoice } from './http-agents.ts';
import { state, unseen } from './reading.ts';
import { jsonOf, oneLine } from './text.ts';

/** The keys of every kind that asks a product's HTTP API. */
export const apiOptions = {
  url: z
    .url({ protocol: /^https?$/, error: 'must start with http:// or https://' })
    .max(2_000)
    .refine((url) => !/^https?:\/\/[^/?#]*@/i.test(url), { error: 'must hold no password' })
    .describe('Address of the product, without the path of its API.'),
  caFile: z.string().max(1_000).optional().describe('Certificates (PEM) to trust beside the usual authorities.'),
  certificateFingerprint: z
    .string()
    .regex(/^(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$/, 'must be 32 pairs of hexadecimal digits with colons between')
    .optional()
    .describe('SHA-256 of the one certificate to trust, for a self-signed one: `openssl x509 -fingerprint -sha256`.'),
  verifyTls: z.boolean().default(true).describe('Whether the certificate must be trusted and for the name.'),
};

/** What a call needs of a look. */
export type ApiContext = Pick<CheckContext, 'clock' | 'signal' | 'timeoutMs' | 'baseFolder'>;

export interface ApiOptions {
  url: string;
  caFile?: string | undefined;
  certificateFingerprint?: string | undefined;
  verifyTls: boolean;
}

export interface ApiCall {
  /** Begins with a slash; appended to the path of the address. Values in it are encoded by whoever builds it. */
  path: string;
  query?: Record<string, string | number | boolean>;
  method?: 'GET' | 'POST' | 'HEAD' | 'DELETE';
  headers?: Record<string, string>;
  /** An object is sent as JSON, a `URLSearchParams` as a form. */
  body?: string | URLSearchParams | Record<string, unknown> | readonly unknown[];
  /** A web page may come. Elsewhere one is a login or another program in the product's place, and no answer of it. */
  mayBePage?: boolean;
}

/** What came of a call. `reason` is one bounded line for a person. */
export type ApiAnswer<T> =
  | { is: 'value'; value: T; status: number; headers: IncomingHttpHeaders; ms: number }
  /** It answered, and not what was wanted: a status that is not 2xx. The body is cut at 1 MiB. */
  | { is: 'refused'; status: number; body: string; reason: string }
  /** It answered 2xx with something that cannot be read as what was wanted. */
  | { is: 'unreadable'; reason: string }
  /** Nobody answered there. */
  | { is: 'silent'; reason: string }
  /** This machine could not ask: a secret or a file is missing, no route, no descriptors. */
  | { is: 'unable'; reason: string };

export type ApiFault = Exclude<ApiAnswer<never>, { is: 'value' }>;

/** Asks one product. Contract: never throws but for the signal's reason; one call, no retry; honours the look's time. */
export interface Api {
  /** The body as JSON that the schema accepts. */
  json<T>(schema: z.ZodType<T>, call: ApiCall): Promise<ApiAnswer<T>>;
  text(call: ApiCall): Promise<ApiAnswer<string>>;
}

export function createApi(options: ApiOptions, context: ApiContext): Api {
  const agents = agentsOf(options, context);
  const text = async (call: ApiCall): Promise<ApiAnswer<string>> => {
    if (!agents.ok) return { is: 'unable', reason: agents.reason };
    const startedAt = context.clock.now();
    const end = await exchange({ url: urlOf(options.url, call), call, agents: agents.agents }, context);
    const answer = answerOf(end, context.clock.now() - startedAt);
    return call.mayBePage !== true && answer.is === 'value' && isPage(answer.value) ? pageAnswered : answer;
  };
  return {
    text,
    async json(schema, call) {
      const answer = await text({ ...call, headers: { accept: 'application/json', ...call.headers } });
      return answer.is === 'value' ? parse(schema, answer) : answer;
    },
  };
}

/** A value that no call was needed for, or that another answer meant. */
export function answered<T>(value: T, status = 200): Extract<ApiAnswer<T>, { is: 'value' }> {
  return { is: 'value', value, status, headers: {}, ms: 0 };
}

/** The cookies that an answer sets, as `name=value`. */
export function cookiesOf(headers: IncomingHttpHeaders): string[] {
  const header = headers['set-cookie'];
  const cookies = header === undefined ? [] : Array.isArray(header) ? header : [header];
  return cookies.map((cookie) => cookie.split(';')[0] ?? '');
}

/** Reads a secret at each look, so that a renewed one is used without a restart. */
export function secretOf(
  ref: SecretRef,
  context: Pick<CheckContext, 'baseFolder'>,
): { ok: true; value: string } | { ok: false; reason: string } {
  try {
    return { ok: true, value: resolveSecret(ref, context.baseFolder) };
  } catch (error) {
    if (error instanceof Failure) return { ok: false, reason: error.message };
    throw error;
  }
}

/** The headers that carry a secret, or why there is none; no headers without a reference. */
export function secretHeaders(
  ref: SecretRef | undefined,
  context: Pick<CheckContext, 'baseFolder'>,
  headers: (secret: string) => Record<string, string> = bearerHeaders,
): Record<string, string> | string {
  if (ref === undefined) return {};
  const secret = secretOf(ref, context);
  return secret.ok ? headers(secret.value) : secret.reason;
}

/** RFC 6750. */
export function bearerHeaders(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

/** RFC 7617. */
export function basicHeaders(user: string, password: string): Record<string, string> {
  const login = Buffer.from(`${user}:${password}`).toString('base64');
  // What is sent could be shown back: the server's text must not carry it into a finding.
  registerSecret(login);
  return { authorization: `Basic ${login}` };
}

/**
 * The observation that a product is there. Silence and 5xx are a problem of the product; a refused token, an answer that
 * cannot be read and a missing secret leave it unknown.
 */
export function presence(
  answer: ApiAnswer<unknown>,
  said: { condition: string; resource: string; name: string; labels?: Record<string, string> },
): Observation {
  const { name, ...rest } = said;
  const words = { ...rest, hidesRest: true };
  switch (answer.is) {
    case 'value':
      return state({ ...words, summary: `${name} answers`, ok: true, severity: 'critical' });
    case 'silent':
      return state({ ...words, summary: `${name} does not answer: ${answer.reason}`, ok: false, severity: 'critical' });
    case 'refused':
      if (answer.status < 500) return unseen(words, answer.reason);
      return state({ ...words, summary: `${name} is not well: ${answer.reason}`, ok: false, severity: 'critical' });
    case 'unreadable':
    case 'unable':
      return unseen(words, answer.reason);
  }
}

function urlOf(base: string, call: ApiCall): URL {
  const url = new URL(base);
  const [path = '', query] = call.path.split('?', 2);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`;
  if (query !== undefined) url.search = query;
  for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.append(name, String(value));
  return url;
}

function agentsOf(
  options: ApiOptions,
  context: ApiContext,
): { ok: true; agents: HttpAgents } | { ok: false; reason: string } {
  const choice: TlsChoice = { verify: options.verifyTls };
  if (options.caFile !== undefined) {
    const authorities = readAuthorities(options.caFile, context.baseFolder);
    if (!authorities.ok) return authorities;
    choice.ca = { certificates: authorities.ca, version: authorities.version };
  }
  if (options.certificateFingerprint !== undefined) choice.fingerprint = options.certificateFingerprint.toUpperCase();
  return { ok: true, agents: httpAgents(choice) };
}

async function exchange(
  of: { url: URL; call: ApiCall; agents: HttpAgents },
  context: ApiContext,
): Promise<ExchangeEnd> {
  context.signal.throwIfAborted();
  const { call } = of;
  const body = bodyOf(call);
  const running = new Exchange(of.agents.kept, {
    url: of.url,
    method: call.method ?? 'GET',
    headers: { 'user-agent': 'lares', ...body.headers, ...call.headers },
    ...(body.text !== undefined && { body: body.text }),
    keepBody: true,
  });
  const cancel = startDeadline({ ms: context.timeoutMs, context }, () => running.stop('no answer in time'));
  const end = await running.done;
  cancel();
  context.signal.throwIfAborted();
  return end;
}

function bodyOf({ body }: ApiCall): { text?: string; headers?: Record<string, string> } {
  if (body === undefined) return {};
  if (typeof body === 'string') return { text: body };
  if (body instanceof URLSearchParams) {
    return { text: body.toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } };
  }
  return { text: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}

function answerOf(end: ExchangeEnd, ms: number): ApiAnswer<string> {
  if (end.is === 'failed') return { is: end.cause === 'ours' ? 'unable' : 'silent', reason: end.text };
  if (end.status < 200 || end.status > 299) {
    return { is: 'refused', status: end.status, body: end.body, reason: refusal(end.status, end.body) };
  }
  if (end.cut) return { is: 'unreadable', reason: 'its answer is larger than is read' };
  return { is: 'value', value: end.body, status: end.status, headers: end.headers, ms };
}

const pageAnswered = {
  is: 'unreadable',
  reason: 'it answered with a web page: a login in front of it, or another program',
} as const;

function isPage(body: string): boolean {
  return /^\s*<(?:!doctype\s+html|html)[\s>]/i.test(body);
}

const meanings: Record<number, string> = {
  401: 'it does not accept the login',
  403: 'the login may not see this',
  404: 'it does not know this address',
  429: 'it was asked too often',
};

/** Cleaned before it is cut: of a password that is said back not even the beginning stays. */
function quoted(body: string, maximum: number): string {
  return oneLine(scrub(body.slice(0, 4_096)), maximum);
}

function refusal(status: number, body: string): string {
  const said = body.startsWith('<') ? '' : quoted(body, 160);
  const meaning = meanings[status];
  return `it answered ${status}${meaning === undefined ? '' : `, ${meaning}`}${said === '' ? '' : `: "${said}"`}`;
}

function parse<T>(schema: z.ZodType<T>, answer: Extract<ApiAnswer<string>, { is: 'value' }>): ApiAnswer<T> {
  const value = jsonOf(answer.value);
  if (value === undefined) return { is: 'unreadable', reason: `its answer is not JSON: "${quoted(answer.value, 80)}"` };
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ...answer, value: parsed.data };
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${oneLine(issue.path.join('.'), 80)}`;
  return { is: 'unreadable', reason: `its answer has another shape${where}: ${oneLine(issue?.message ?? '', 120)}` };
}
