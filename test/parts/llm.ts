import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type Reply, prose } from './llm-replies.ts';

export { type Reply, faults, ok, prose } from './llm-replies.ts';

interface RecordedRequest {
  path: string;
  headers: Record<string, string | undefined>;
  /** Parsed; `undefined` when it was not JSON. */
  body: Record<string, unknown> | undefined;
  /** All texts of the request: system and turns. */
  prompt: string;
}

export interface LlmFake extends AsyncDisposable {
  /** For `baseUrl` in a provider's configuration. */
  readonly url: string;
  readonly requests: readonly RecordedRequest[];
  /** The next answers, in order; after them comes `otherwise`. */
  queue(...replies: (Reply | ReplyTo)[]): void;
  /** What is answered when nothing is queued. */
  otherwise(reply: Reply | ReplyTo): void;
  /** Resolves once so many requests have arrived since the start. */
  arrived(count: number): Promise<void>;
}

type ReplyTo = (request: RecordedRequest) => Reply;

type Dialect = (reply: Extract<Reply, { is: 'text' | 'stop' | 'error' }>, model: string) => object;

/** A fake of Anthropic's Messages API. */
export function startAnthropic(): Promise<LlmFake> {
  return start({ speak: speakAnthropic, prefix: '' });
}

/** A fake of OpenAI's Chat Completions, and of everything that imitates them. */
export function startOpenai(): Promise<LlmFake> {
  return start({ speak: speakOpenai, prefix: '/v1' });
}

const speakAnthropic: Dialect = (reply, model) => {
  if (reply.is === 'error') {
    return { type: 'error', error: { type: reply.type, message: reply.message }, request_id: 'req_fake' };
  }
  const text = reply.text;
  return {
    id: 'msg_fake',
    type: 'message',
    role: 'assistant',
    model,
    content: text === '' ? [] : [{ type: 'text', text }],
    stop_reason: reply.is === 'stop' ? reply.reason : 'end_turn',
    stop_sequence: null,
    usage: usageOf(reply, { input: 'input_tokens', output: 'output_tokens' }),
  };
};

const speakOpenai: Dialect = (reply, model) => {
  if (reply.is === 'error') {
    return { error: { message: reply.message, type: reply.type, param: null, code: reply.code ?? null } };
  }
  const isRefusal = reply.is === 'stop' && reply.reason === 'refusal';
  const end = reply.is === 'stop' ? reply.reason : 'stop';
  return {
    id: 'chatcmpl-fake',
    object: 'chat.completion',
    created: 1_795_000_000,
    model,
    choices: [
      {
        index: 0,
        finish_reason: isRefusal ? 'stop' : end,
        message: {
          role: 'assistant',
          content: isRefusal ? null : reply.text,
          refusal: isRefusal ? reply.text : null,
        },
      },
    ],
    usage: usageOf(reply, { input: 'prompt_tokens', output: 'completion_tokens' }),
  };
};

function usageOf(
  reply: Extract<Reply, { is: 'text' | 'stop' }>,
  names: { input: string; output: string },
): Record<string, number> {
  const [input, output] = reply.is === 'text' ? [reply.inputTokens, reply.outputTokens] : [];
  return { [names.input]: input ?? 1_000, [names.output]: output ?? 200 };
}

interface Script {
  speak: Dialect;
  queued: (Reply | ReplyTo)[];
  otherwise: Reply | ReplyTo;
  requests: RecordedRequest[];
  waiting: { count: number; resolve: () => void }[];
  timers: Set<NodeJS.Timeout>;
}

async function start({ speak, prefix }: { speak: Dialect; prefix: string }): Promise<LlmFake> {
  const script: Script = { speak, queued: [], otherwise: prose('ok'), requests: [], waiting: [], timers: new Set() };
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => void serve(script, request, response));
  server.on('connection', (socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A client that gives up is a fact of these tests, not a fault of the server.
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${prefix}`,
    requests: script.requests,
    queue: (...replies) => void script.queued.push(...replies),
    otherwise: (reply) => {
      script.otherwise = reply;
    },
    arrived: (count) =>
      new Promise((resolve) => {
        if (script.requests.length >= count) resolve();
        else script.waiting.push({ count, resolve });
      }),
    async [Symbol.asyncDispose]() {
      for (const timer of script.timers) clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function serve(script: Script, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const recorded = await record(request);
  script.requests.push(recorded);
  const next = script.queued.shift() ?? script.otherwise;
  const reply = typeof next === 'function' ? next(recorded) : next;
  const model = typeof recorded.body?.['model'] === 'string' ? recorded.body['model'] : '';
  send(script, reply, { response, model });
  for (const waiter of script.waiting) if (script.requests.length >= waiter.count) waiter.resolve();
}

interface Target {
  response: ServerResponse;
  model: string;
}

function send(script: Script, reply: Reply, to: Target): void {
  const { response } = to;
  switch (reply.is) {
    case 'hang':
      return;
    case 'reset':
      response.socket?.resetAndDestroy();
      return;
    case 'slow': {
      const timer = setTimeout(() => send(script, reply.reply, to), reply.ms);
      script.timers.add(timer);
      return;
    }
    case 'half':
    case 'stalled-body':
      sendHalf(script, reply, to);
      return;
    case 'raw':
      response.writeHead(reply.status, { 'content-type': reply.contentType, ...reply.headers }).end(reply.body);
      return;
    case 'error':
    case 'text':
    case 'stop':
      sendWhole(script, reply, to);
  }
}

function sendWhole(script: Script, reply: Parameters<Dialect>[0], { response, model }: Target): void {
  const headers = 'headers' in reply ? reply.headers : {};
  const status = reply.is === 'error' ? reply.status : 200;
  const body = JSON.stringify(script.speak(reply, model));
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
}

function sendHalf(script: Script, reply: Reply, { response, model }: Target): void {
  const body = JSON.stringify(script.speak({ is: 'text', text: '{"cause":"half"}' }, model));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(body.length) });
  response.write(body.slice(0, body.length / 2), () => {
    if (reply.is === 'half') response.destroy();
  });
}

async function record(request: IncomingMessage): Promise<RecordedRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  const body = parsed(text);
  return { path: request.url ?? '', headers, body, prompt: textsIn(body) };
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function textsIn(body: Record<string, unknown> | undefined): string {
  const messages = Array.isArray(body?.['messages']) ? (body['messages'] as { content?: unknown }[]) : [];
  return [body?.['system'], ...messages.map((message) => message.content)]
    .filter((text) => typeof text === 'string')
    .join('\n');
}
