import { z } from 'zod';
import type { ProviderConfig } from '#config/schema.ts';
import { refusalOf, uselessAnswer } from './classify.ts';
import type { Answer, FailureClass, ProviderFailure, Usage } from './provider.ts';
import { tokenCount, withoutThoughts } from './structure.ts';

const Content = z.union([z.string(), z.array(z.looseObject({ text: z.string().optional() }))]);

const ChatAnswer = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        finish_reason: z.string().nullish(),
        message: z.looseObject({ content: Content.nullish(), refusal: z.string().nullish() }).nullish(),
      }),
    )
    .nullish(),
  usage: z.record(z.string(), z.unknown()).nullish(),
});

const ErrorInside = z.looseObject({
  error: z.union([z.string(), z.looseObject({ message: z.string().optional(), code: z.unknown() })]),
});

/** MiniMax puts its errors into an answer with status 200. */
const BaseResponse = z.looseObject({
  base_resp: z.looseObject({ status_code: z.number(), status_msg: z.string().optional() }),
});

/** Codes of MiniMax's error page; those that are missing pass by themselves. */
const baseClasses: Record<number, FailureClass> = {
  1004: 'auth',
  1008: 'billing',
  1026: 'refused',
  1027: 'refused',
  1039: 'too-long',
  2013: 'ours',
  2049: 'auth',
  2061: 'auth',
};

/** How a whole answer is spelt: OpenAI's `stop`, and what local servers say instead. */
const normalEnds = new Set(['stop', 'eos', 'eos_token', 'stop_sequence', 'end_turn']);

interface Source {
  config: ProviderConfig;
  headers: Headers;
  now: number;
}

/** Reads a chat completion, or throws the failure that it hides behind its status 200. */
export function readChatAnswer(data: unknown, source: Source): Answer {
  throwHiddenError(data, source);
  const parsed = ChatAnswer.safeParse(data);
  const choice = parsed.success ? parsed.data.choices?.[0] : undefined;
  if (!parsed.success || choice === undefined) {
    throw uselessAnswer('answered something that is not a chat completion', {
      provider: source.config.name,
      failureClass: 'transient',
      fate: { is: 'unknown' },
    });
  }
  const raw = textOf(choice.message?.content);
  const usage = usageOf(parsed.data.usage, { headers: source.headers, raw });
  if (choice.message?.refusal) throw useless(source, usage, { what: 'declined to answer', failureClass: 'refused' });
  throwBadEnd(choice.finish_reason ?? '', { source, usage });
  const text = withoutThoughts(raw);
  if (text === '') throw useless(source, usage, { what: 'gave an empty answer', failureClass: 'transient' });
  const note = ownFallback(source);
  return { text, ...usage, ...(note !== undefined && { note }) };
}

function throwHiddenError(data: unknown, source: Source): void {
  const base = BaseResponse.safeParse(data).data?.base_resp;
  if (base !== undefined && base.status_code !== 0) {
    throw uselessAnswer(`answered with error ${base.status_code}: ${(base.status_msg ?? '').slice(0, 100)}`, {
      provider: source.config.name,
      failureClass: baseClasses[base.status_code] ?? 'transient',
      fate: { is: 'rejected' },
    });
  }
  const error = ErrorInside.safeParse(data).data?.error;
  const hasChoices = (ChatAnswer.safeParse(data).data?.choices?.length ?? 0) > 0;
  if (error === undefined || hasChoices) return;
  const { provider, status, text } = { provider: source.config.name, ...hiddenStatus(error) };
  throw refusalOf({ provider, status, text, headers: source.headers, now: source.now });
}

/** OpenRouter repeats the status of the error in `code`; LM Studio sends nothing but a sentence. */
function hiddenStatus(error: z.output<typeof ErrorInside>['error']): { status: number; text: string } {
  if (typeof error === 'string') return { status: 200, text: error };
  const code = Number(error.code);
  return { status: code >= 400 && code < 600 ? code : 200, text: error.message ?? '' };
}

function throwBadEnd(end: string, { source, usage }: { source: Source; usage: Usage }): void {
  if (normalEnds.has(end)) return;
  switch (end) {
    case 'content_filter':
      throw useless(source, usage, { what: 'withheld its answer (content filter)', failureClass: 'refused' });
    case 'length':
      throw useless(source, usage, {
        what: 'was cut off by its limit of output tokens',
        failureClass: 'unparseable',
      });
    default:
      throw useless(source, usage, {
        what: `stopped without a normal end (${end === '' ? 'no reason' : end.slice(0, 40)})`,
        failureClass: 'transient',
      });
  }
}

function useless(source: Source, usage: Usage, why: { what: string; failureClass: FailureClass }): ProviderFailure {
  return uselessAnswer(why.what, {
    provider: source.config.name,
    failureClass: why.failureClass,
    fate: { is: 'answered', usage },
  });
}

function textOf(content: z.output<typeof Content> | null | undefined): string {
  if (content === null || content === undefined) return '';
  return typeof content === 'string' ? content : content.map((part) => part.text ?? '').join('');
}

/** Some servers count nothing; then the answer's length has to do. */
function usageOf(
  reported: Record<string, unknown> | null | undefined,
  { headers, raw }: { headers: Headers; raw: string },
): Usage {
  const cost = Number(headers.get('x-litellm-response-cost') ?? Number.NaN);
  return {
    inputTokens: tokenCount(reported?.['prompt_tokens']),
    outputTokens: tokenCount(reported?.['completion_tokens']) || Math.ceil(Buffer.byteLength(raw) / 3.5),
    ...(Number.isFinite(cost) && cost >= 0 && cost < 1_000 && { costEuro: cost }),
  };
}

function ownFallback(source: Source): string | undefined {
  const fallbacks = Number(source.headers.get('x-litellm-attempted-fallbacks') ?? 0);
  if (!Number.isFinite(fallbacks) || fallbacks < 1) return undefined;
  const id = source.headers.get('x-litellm-model-group') ?? source.headers.get('x-litellm-model-id') ?? '';
  return `the proxy fell back ${Math.min(fallbacks, 99)} times by itself${id === '' ? '' : `, to ${id.slice(0, 60)}`}`;
}
