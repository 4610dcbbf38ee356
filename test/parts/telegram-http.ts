import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ApiError } from './telegram-chat.ts';

export interface TelegramFault {
  /** All methods unless told. */
  method?: string;
  /** `lost-reply`: the request takes effect and the connection dies before the answer. */
  kind:
    | '429'
    | '502'
    | '401'
    | '403'
    | '400-entities'
    | '400-documents'
    | '409'
    | 'strange'
    | 'hang'
    | 'reset'
    | 'lost-reply';
  /** 1 unless told. */
  times?: number;
  /** Seconds, for 429. */
  retryAfter?: number;
}

export interface ApiCall {
  token: string;
  method: string;
  fields: Record<string, unknown>;
}

/** What goes wrong next. */
export class Faults {
  #faults: (TelegramFault & { left: number })[] = [];

  add(fault: TelegramFault): void {
    this.#faults.push({ ...fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#faults = [];
  }

  take(method: string): (TelegramFault & { left: number }) | undefined {
    const isMeant = (name: string | undefined): boolean =>
      name === undefined || name.toLowerCase() === method.toLowerCase();
    const fault = this.#faults.find((candidate) => candidate.left > 0 && isMeant(candidate.method));
    if (fault !== undefined) fault.left -= 1;
    return fault;
  }
}

/** HTTP around the Bot API: `/bot<token>/<method>`, JSON and forms in, `{ ok, result }` out, and faults in between. */
export function createApiServer(
  faults: Faults,
  perform: (call: ApiCall, closed: AbortSignal) => Promise<unknown>,
): Server {
  return createServer({ noDelay: true }, (request, response) => {
    const closed = new AbortController();
    response.on('close', () => closed.abort());
    void readCall(request).then(async (call) => {
      const fault = call && faults.take(call.method);
      if (call === undefined || isBroken(fault, response)) return;
      await answer(response, async () => {
        if (fault !== undefined) throwFault(fault);
        const result = await perform(call, closed.signal);
        if (fault?.kind === 'lost-reply') request.socket.destroy();
        return result;
      });
    });
  });
}

/** Faults in which no proper answer comes. */
function isBroken(fault: (TelegramFault & { left: number }) | undefined, response: ServerResponse): boolean {
  if (fault?.kind === 'reset') response.socket?.destroy();
  if (fault?.kind === '502') response.writeHead(502, { 'content-type': 'text/html' }).end(badGateway);
  if (fault?.kind === 'strange') reply(response, 200, strangeAnswers[fault.left % strangeAnswers.length]);
  return fault !== undefined && ['reset', '502', 'hang', 'strange'].includes(fault.kind);
}

/** What a portal or a proxy says in Telegram's place. */
const strangeAnswers = [null, {}, 5, { ok: true }, { ok: true, result: [null] }, { ok: false }, { error: 'login' }];

const badGateway = '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>';

function throwFault(fault: TelegramFault): void {
  const seconds = fault.retryAfter ?? 1;
  const errors: Partial<Record<TelegramFault['kind'], ApiError>> = {
    '429': new ApiError(429, `Too Many Requests: retry after ${seconds}`, { retry_after: seconds }),
    '401': new ApiError(401, 'Unauthorized'),
    '403': new ApiError(403, 'Forbidden: bot was blocked by the user'),
    '409': new ApiError(
      409,
      'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
    ),
    '400-documents': new ApiError(400, 'Bad Request: not enough rights to send documents to the chat'),
    '400-entities': new ApiError(400, 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 0'),
  };
  const error = errors[fault.kind];
  if (error !== undefined) throw error;
}

async function answer(response: ServerResponse, work: () => Promise<unknown>): Promise<void> {
  try {
    reply(response, 200, { ok: true, result: await work() });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { code, message, parameters } = error;
    reply(response, code, { ok: false, error_code: code, description: message, ...(parameters && { parameters }) });
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed || response.socket?.destroyed === true) return;
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Undefined when the client went away while it was sending. */
async function readCall(request: IncomingMessage): Promise<ApiCall | undefined> {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  const isWhole = await new Promise<boolean>((resolve) => {
    request.on('end', () => resolve(true));
    request.on('close', () => resolve(false));
    request.on('error', () => resolve(false));
  });
  if (!isWhole) return undefined;
  const [, token = '', method = ''] = /^\/bot([^/]*)\/(\w+)/.exec(request.url ?? '') ?? [];
  return { token, method, fields: await readFields(Buffer.concat(chunks), request.headers['content-type'] ?? '') };
}

async function readFields(body: Buffer, type: string): Promise<Record<string, unknown>> {
  if (type.startsWith('multipart/form-data')) return readForm(body, type);
  return body.length === 0 ? {} : (JSON.parse(body.toString('utf8')) as Record<string, unknown>);
}

/** grammY names a file by a random key and refers to it as `attach://key`. */
async function readForm(body: Buffer, type: string): Promise<Record<string, unknown>> {
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData();
  const fields: Record<string, unknown> = {};
  for (const [name, value] of form) {
    if (typeof value !== 'string') continue;
    const file = value.startsWith('attach://') ? form.get(value.slice('attach://'.length)) : null;
    fields[name] = file instanceof File ? { name: file.name, content: await file.text() } : value;
  }
  return fields;
}
