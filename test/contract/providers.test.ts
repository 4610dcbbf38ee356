import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type FailureClass, type Provider, ProviderFailure, type ProviderKind } from '#agents/triage/llm/provider.ts';
import { loadPlugins } from '#agents/runtime/plugins.ts';
import { type ProviderConfig, ConfigSchema } from '#config/schema.ts';
import { type LlmFake, type Reply, faults, ok, startAnthropic, startOpenai } from '../parts/llm.ts';

const kinds = await loadPlugins<ProviderKind>({
  folder: new URL('../../agents/triage/llm/providers/', import.meta.url),
  exportName: 'provider',
  kindOf: (plugin) => plugin.kind,
});
const now = Date.parse('2026-11-20T12:00:00Z');
const dayMs = 86_400_000;
const key = 'sk-fake-0123456789abcdefghij';

const question = {
  system: 'You are terse.',
  turns: [{ role: 'user' as const, text: 'Is it up?' }],
  shape: z.object({ up: z.boolean(), why: z.string() }),
  shapeName: 'answer',
  maxOutputTokens: 300,
};

function configOf(kind: ProviderConfig['kind'], baseUrl: string): ProviderConfig {
  const parsed = ConfigSchema.parse({ llm: { providers: [{ name: 'p', kind, model: 'm-1', baseUrl }] } });
  const [provider] = parsed.llm.providers;
  if (provider === undefined) throw new TypeError('no provider');
  return provider;
}

async function failureOf(provider: Provider, signal = AbortSignal.timeout(30_000)): Promise<ProviderFailure> {
  try {
    const answer = await provider.ask(question, signal);
    throw new TypeError(`answered ${answer.text}`);
  } catch (error) {
    if (error instanceof ProviderFailure) return error;
    throw error;
  }
}

test('the folder holds the kinds of the configuration', () => {
  expect([...kinds.keys()].toSorted()).toEqual(['anthropic', 'compatible', 'openai']);
});

describe.each(['anthropic', 'openai', 'compatible'] as const)('a provider of kind %s', (kind) => {
  let fake: LlmFake;
  let provider: Provider;

  beforeEach(async () => {
    fake = await (kind === 'anthropic' ? startAnthropic() : startOpenai());
    const found = kinds.get(kind);
    if (found === undefined) throw new TypeError(`no kind ${kind}`);
    provider = await found.open(configOf(kind, fake.url), { apiKey: key, now: () => now });
  });
  afterEach(async () => {
    await fake[Symbol.asyncDispose]();
  });

  test('gives the text and the usage of a normal answer, from one request', async () => {
    fake.queue({ is: 'text', text: '{"up":true,"why":"x"}', inputTokens: 321, outputTokens: 45 });
    const answer = await provider.ask(question, AbortSignal.timeout(30_000));
    expect(answer).toMatchObject({ text: '{"up":true,"why":"x"}', inputTokens: 321, outputTokens: 45 });
    expect(fake.requests).toHaveLength(1);
  });

  test('sends the key as Bearer, no temperature, the limit of tokens and the shape of the answer', async () => {
    fake.queue(ok({ up: true }));
    await provider.ask(question, AbortSignal.timeout(30_000));
    const [request] = fake.requests;
    expect(request?.headers['authorization']).toBe(`Bearer ${key}`);
    expect(request?.body).not.toHaveProperty('temperature');
    expect(JSON.stringify(request?.body)).toContain('300');
    expect(JSON.stringify(request?.body)).toContain('why');
    expect(request?.body?.['model']).toBe('m-1');
  });

  const table: [string, Reply, FailureClass][] = [
    ['401', faults.unauthorized(), 'auth'],
    ['402', faults.paymentRequired(), 'billing'],
    ['403', faults.forbidden(), 'auth'],
    ['404 of the model', faults.unknownModel(), 'auth'],
    ['400 credit balance', faults.creditBalance(), 'billing'],
    ['400 usage limits', faults.usageLimits('2026-12-01'), 'billing'],
    ['429 with an empty purse', faults.insufficientQuota(), 'billing'],
    ['408', faults.timeout(), 'transient'],
    ['409', faults.conflict(), 'transient'],
    ['413', faults.tooLarge(), 'too-long'],
    ['400 context length', faults.contextLength(), 'too-long'],
    ['400 content policy', faults.contentPolicy(), 'refused'],
    ['400 malformed', faults.malformed(), 'ours'],
    ['429', faults.rateLimited(), 'transient'],
    ['500 with HTML', faults.htmlError(500), 'transient'],
    ['502 with HTML', faults.htmlError(502), 'transient'],
    ['503 loading model', faults.loadingModel(), 'transient'],
    ['529', faults.overloaded(), 'transient'],
    ['200 with HTML', faults.htmlPage(), 'transient'],
    ['200 with broken JSON', faults.notJson(), 'transient'],
    ['a reset connection', faults.reset(), 'transient'],
    ['half a body', faults.halfBody(), 'transient'],
    ['an empty answer', faults.empty(), 'transient'],
    ['an answer without a stop reason', faults.noStopReason(), 'transient'],
    ['a refusal', faults.refusal(), 'refused'],
    ['an answer cut by its limit', faults.cut(kind), 'unparseable'],
    ...(kind === 'anthropic'
      ? ([
          ['a full context window', { is: 'stop', reason: 'model_context_window_exceeded', text: '{' }, 'too-long'],
        ] satisfies [string, Reply, FailureClass][])
      : ([
          ['a content filter', faults.contentFilter(), 'refused'],
          ['MiniMax 1002 rate limit', faults.baseResponse(1002, 'rate limit'), 'transient'],
          ['MiniMax 1004 auth', faults.baseResponse(1004, 'login fail'), 'auth'],
          ['MiniMax 1008 balance', faults.baseResponse(1008, 'insufficient balance'), 'billing'],
          ['MiniMax 1027 sensitive', faults.baseResponse(1027, 'output sensitive'), 'refused'],
          ['MiniMax 1039 tokens', faults.baseResponse(1039, 'token limit'), 'too-long'],
          ['MiniMax 2013 parameters', faults.baseResponse(2013, 'invalid params'), 'ours'],
          ['a sentence as error', faults.errorSentence('Model unloaded'), 'transient'],
        ] satisfies [string, Reply, FailureClass][])),
  ];

  test.each(table)('calls %s by its class, after one request', async (_name, reply, failureClass) => {
    fake.otherwise(reply);
    const failure = await failureOf(provider);
    expect(failure.failureClass).toBe(failureClass);
    expect(fake.requests).toHaveLength(1);
    expect(failure.message).not.toContain(key);
  });

  test('honours Retry-After in seconds and as a date', async () => {
    fake.queue(faults.rateLimited('7'), faults.rateLimited('Fri, 20 Nov 2026 12:02:00 GMT'));
    expect((await failureOf(provider)).retryAfterMs).toBe(7_000);
    expect((await failureOf(provider)).retryAfterMs).toBe(120_000);
  });

  test('never rests longer than a day for a header', async () => {
    fake.queue(faults.rateLimited('99999999'));
    expect((await failureOf(provider)).retryAfterMs).toBe(dayMs);
  });

  test('reads the date from which money is there again', async () => {
    fake.queue(faults.usageLimits('2026-12-01'));
    expect((await failureOf(provider)).retryAfterMs).toBe(Date.parse('2026-12-01T00:00:00Z') - now);
  });

  test('ends a request that hangs, and one whose body stalls, when the signal aborts', async () => {
    fake.queue(faults.hang(), faults.stalledBody());
    for (let turn = 0; turn < 2; turn += 1) {
      const failure = await failureOf(provider, AbortSignal.timeout(100));
      expect(failure).toMatchObject({ failureClass: 'transient', fate: { is: 'unknown' } });
    }
  });

  test('knows that a refused connection cost nothing', async () => {
    await fake[Symbol.asyncDispose]();
    expect(await failureOf(provider)).toMatchObject({ failureClass: 'transient', fate: { is: 'rejected' } });
    fake = await startOpenai();
  });

  test('reports the use of an answer that is of no use', async () => {
    fake.queue(faults.cut(kind));
    expect((await failureOf(provider)).fate).toEqual({
      is: 'answered',
      usage: { inputTokens: 1_000, outputTokens: 200 },
    });
  });

  test('reads no endless answer', async () => {
    fake.queue({ is: 'raw', status: 200, contentType: 'application/json', body: `{"x":"${'a'.repeat(3_000_000)}"}` });
    expect((await failureOf(provider)).failureClass).toBe('transient');
  });
});

describe('an endpoint that refuses the response format', () => {
  test.each([
    ['anthropic', 'output_config'],
    ['openai', 'response_format'],
  ] as const)('is asked by %s in words instead, from then on', async (kind, parameter) => {
    await using fake = await (kind === 'anthropic' ? startAnthropic() : startOpenai());
    const provider = await kinds.get(kind)?.open(configOf(kind, fake.url), { apiKey: key, now: () => now });
    fake.queue(faults.refusesFormat(parameter), ok({ up: true }), ok({ up: true }));
    await provider?.ask(question, AbortSignal.timeout(30_000));
    await provider?.ask(question, AbortSignal.timeout(30_000));
    expect(fake.requests.map((request) => parameter in (request.body ?? {}))).toEqual([true, false, false]);
    expect(fake.requests.at(-1)?.prompt).toContain('JSON schema');
  });
});

describe('a compatible endpoint', () => {
  async function answerTo(reply: Reply): Promise<Awaited<ReturnType<Provider['ask']>> | undefined> {
    await using fake = await startOpenai();
    fake.queue(reply);
    const provider = await kinds.get('compatible')?.open(configOf('compatible', fake.url), {
      apiKey: undefined,
      now: () => now,
    });
    return await provider?.ask(question, AbortSignal.timeout(30_000));
  }

  test.each([
    '<think>Perhaps {"up": false}?</think>\n{"up":true}',
    'I was thinking in the prompt already</think>{"up":true}',
    '{"up":true}',
  ])('thinks aloud and is understood: %s', async (text) => {
    expect((await answerTo({ is: 'text', text }))?.text).toBe('{"up":true}');
  });

  test('that only thinks has not answered', async () => {
    await expect(answerTo({ is: 'text', text: '<think>still at it' })).rejects.toMatchObject({
      failureClass: 'transient',
    });
  });

  test('tells the cost and the fallbacks of a LiteLLM proxy', async () => {
    const headers = { 'x-litellm-response-cost': '0.0042', 'x-litellm-attempted-fallbacks': '1' };
    const answer = await answerTo({ is: 'text', text: '{}', headers });
    expect(answer?.costEuro).toBe(0.0042);
    expect(answer?.note).toContain('fell back');
  });

  test.each(['eos', 'stop'])('may end with %s', async (reason) => {
    expect((await answerTo({ is: 'stop', reason, text: '{}' }))?.text).toBe('{}');
  });
});
