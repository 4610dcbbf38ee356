import type { OpenAI } from 'openai';
import { z } from 'zod';
import { messageOf } from '#bus/failure.ts';
import type { ProviderConfig } from '#config/schema.ts';
import { boundedFetch } from './bounded-fetch.ts';
import { refusalOf, silenceOf } from './classify.ts';
import { readChatAnswer } from './chat-answer.ts';
import { type Answer, type Provider, type ProviderAccess, ProviderFailure, type Question } from './provider.ts';
import { refusesFormat, shapeInWords } from './structure.ts';

/** What tells the speakers of Chat Completions apart. */
interface Dialect {
  baseUrl: string;
  /** Newer models of OpenAI refuse `max_tokens`; many others know nothing else. */
  limitKey: 'max_completion_tokens' | 'max_tokens';
  /** Whether `response_format` may be sent; where not, or once refused, the shape is told in words. */
  formatted: boolean;
}

/** Opens an endpoint that speaks Chat Completions. The SDK is loaded here and not before. */
export async function openChatCompletions(
  config: ProviderConfig,
  access: ProviderAccess,
  dialect: Dialect,
): Promise<Provider> {
  const sdk = await import('openai');
  const client = new sdk.OpenAI({
    // The constructor throws without a key, and would look for one in the environment; local servers want none.
    apiKey: access.apiKey ?? 'none',
    baseURL: dialect.baseUrl,
    organization: null,
    project: null,
    maxRetries: 0,
    timeout: config.timeout,
    logLevel: 'off',
    fetch: await boundedFetch(config.timeout),
  });
  return new ChatCompletions(config, { client, access, dialect, APIError: sdk.APIError });
}

interface Connection {
  client: OpenAI;
  access: ProviderAccess;
  dialect: Dialect;
  APIError: typeof OpenAI.APIError;
}

class ChatCompletions implements Provider {
  readonly config: ProviderConfig;
  readonly #connection: Connection;
  #formatted: boolean;

  constructor(config: ProviderConfig, connection: Connection) {
    this.config = config;
    this.#connection = connection;
    this.#formatted = connection.dialect.formatted;
  }

  async ask(question: Question, signal: AbortSignal): Promise<Answer> {
    try {
      const { data, response } = await this.#connection.client.chat.completions
        .create(this.#request(question), { signal })
        .withResponse();
      return readChatAnswer(data, {
        config: this.config,
        headers: response.headers,
        now: this.#connection.access.now(),
      });
    } catch (error) {
      const failure = this.#failureOf(error);
      if (!this.#formatted || !refusesFormat(failure, messageOf(error))) throw failure;
      this.#formatted = false;
      return this.ask(question, signal);
    }
  }

  #request(question: Question): OpenAI.ChatCompletionCreateParamsNonStreaming {
    const system = this.#formatted ? question.system : `${question.system}\n\n${shapeInWords(question)}`;
    return {
      model: this.config.model,
      messages: [
        { role: 'system', content: system },
        ...question.turns.map((turn) => ({ role: turn.role, content: turn.text })),
      ],
      [this.#connection.dialect.limitKey]: question.maxOutputTokens,
      ...(this.#formatted && { response_format: strictFormat(question) }),
    };
  }

  #failureOf(error: unknown): ProviderFailure {
    if (error instanceof ProviderFailure) return error;
    const { APIError, access } = this.#connection;
    if (!(error instanceof APIError) || error.status === undefined) return silenceOf(this.config.name, error);
    const body: unknown = error.error;
    return refusalOf({
      provider: this.config.name,
      status: error.status,
      headers: error.headers,
      text: `${error.message} ${JSON.stringify(body) ?? ''}`.slice(0, 4_000),
      said: error.message.replace(/^\d{3} /, ''),
      now: access.now(),
    });
  }
}

/** The strict form: every key required, nothing beside them. Shapes are written so that both hold. */
function strictFormat(question: Question): OpenAI.ResponseFormatJSONSchema {
  const { $schema: _, ...schema } = z.toJSONSchema(question.shape, { io: 'output' });
  return { type: 'json_schema', json_schema: { name: question.shapeName, strict: true, schema } };
}
