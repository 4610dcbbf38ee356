import type { Anthropic } from '@anthropic-ai/sdk';
import { z } from 'zod';
import { messageOf } from '#bus/failure.ts';
import { boundedFetch } from '../bounded-fetch.ts';
import { refusalOf, silenceOf, uselessAnswer } from '../classify.ts';
import {
  type Answer,
  type Fate,
  type Provider,
  type ProviderAccess,
  ProviderFailure,
  type ProviderKind,
  type Question,
} from '../provider.ts';
import { refusesFormat, shapeInWords, tokenCount } from '../structure.ts';
import type { ProviderConfig } from '#config/schema.ts';

const MessageAnswer = z.looseObject({
  content: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })),
  stop_reason: z.string().nullish(),
  usage: z.record(z.string(), z.unknown()).nullish(),
});

/** The Messages API of Anthropic, or an endpoint that speaks it (MiniMax, LiteLLM, Ollama). */
export const provider: ProviderKind = {
  kind: 'anthropic',
  async open(config, access) {
    const { Anthropic } = await import('@anthropic-ai/sdk');
    const { zodOutputFormat } = await import('@anthropic-ai/sdk/helpers/zod');
    const client = new Anthropic({
      // Passed even when empty: without one the SDK looks for credentials in the environment and on the disk.
      apiKey: access.apiKey ?? 'none',
      baseURL: config.baseUrl ?? 'https://api.anthropic.com',
      maxRetries: 0,
      timeout: config.timeout,
      logLevel: 'off',
      fetch: await boundedFetch(config.timeout),
    });
    return new AnthropicProvider(config, {
      access,
      send: (question, options) =>
        client.messages.create(
          {
            model: config.model,
            max_tokens: question.maxOutputTokens,
            system: options.formatted ? question.system : `${question.system}\n\n${shapeInWords(question)}`,
            messages: question.turns.map((turn) => ({ role: turn.role, content: turn.text })),
            ...(options.formatted && {
              output_config: {
                format: { type: 'json_schema' as const, schema: zodOutputFormat(question.shape).schema },
              },
            }),
          },
          { signal: options.signal },
        ),
      APIError: Anthropic.APIError,
    });
  },
};

interface Client {
  access: ProviderAccess;
  send(question: Question, options: { signal: AbortSignal; formatted: boolean }): Promise<unknown>;
  APIError: typeof Anthropic.APIError;
}

class AnthropicProvider implements Provider {
  readonly config: ProviderConfig;
  readonly #client: Client;
  /** Off once the endpoint refused the response format. */
  #formatted = true;

  constructor(config: ProviderConfig, client: Client) {
    this.config = config;
    this.#client = client;
  }

  async ask(question: Question, signal: AbortSignal): Promise<Answer> {
    try {
      return read(this.config.name, await this.#client.send(question, { signal, formatted: this.#formatted }));
    } catch (error) {
      const failure = this.#failureOf(error);
      if (!this.#formatted || !refusesFormat(failure, messageOf(error))) throw failure;
      this.#formatted = false;
      return this.ask(question, signal);
    }
  }

  #failureOf(error: unknown): ProviderFailure {
    if (error instanceof ProviderFailure) return error;
    const { APIError, access } = this.#client;
    if (!(error instanceof APIError) || error.status === undefined) return silenceOf(this.config.name, error);
    return refusalOf({
      provider: this.config.name,
      status: error.status,
      headers: error.headers,
      text: error.message.slice(0, 4_000),
      said: error.apiMessage ?? undefined,
      now: access.now(),
    });
  }
}

function read(name: string, message: unknown): Answer {
  const parsed = MessageAnswer.safeParse(message);
  if (!parsed.success) {
    throw uselessAnswer('answered something that is not a message', {
      provider: name,
      failureClass: 'transient',
      fate: { is: 'unknown' },
    });
  }
  const { content, stop_reason: stop, usage } = parsed.data;
  const used = {
    inputTokens:
      tokenCount(usage?.['input_tokens']) +
      tokenCount(usage?.['cache_creation_input_tokens']) +
      tokenCount(usage?.['cache_read_input_tokens']),
    outputTokens: tokenCount(usage?.['output_tokens']),
  };
  const fate: Fate = { is: 'answered', usage: used };
  const useless = (what: string, failureClass: ProviderFailure['failureClass']): ProviderFailure =>
    uselessAnswer(what, { provider: name, failureClass, fate });
  if (stop === 'refusal') throw useless('declined to answer', 'refused');
  if (stop === 'max_tokens') throw useless('was cut off by its limit of output tokens', 'unparseable');
  if (stop === 'model_context_window_exceeded') throw useless('ran out of its context window', 'too-long');
  if (stop !== 'end_turn' && stop !== 'stop_sequence') {
    throw useless(`stopped without a normal end (${String(stop).slice(0, 40)})`, 'transient');
  }
  const text = content
    .filter((block) => block.type === 'text')
    .map((block) => block.text ?? '')
    .join('')
    .trim();
  if (text === '') throw useless('gave an empty answer', 'transient');
  return { text, ...used };
}
