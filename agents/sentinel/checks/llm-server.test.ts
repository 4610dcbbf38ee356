import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './llm-server.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, product: 'ollama' }));

process.env['LARES_TEST_LLM'] = 'sk-llm-test-key';
const token = { env: 'LARES_TEST_LLM' };
afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> => check.observe(check.options.parse(given), checkContext());

/** Answers by path; a path that costs money makes the test fail by being recorded. */
const serving =
  (bodies: Record<string, unknown>) =>
  ({ path, headers }: ApiRequest) => {
    const isPublic = !['/key/info', '/v1/models'].includes(path) || headers.authorization === 'Bearer sk-llm-test-key';
    if (!isPublic) return { status: 401 };
    return path in bodies ? { body: bodies[path] } : undefined;
  };

const catalogue = { data: [{ id: 'claude' }, { id: 'minimax' }] };

describe('LiteLLM', () => {
  const info = { '/key/info': { info: { spend: 9, max_budget: 10 } }, '/v1/models': catalogue };
  const ready = { '/health/readiness': { status: 'healthy', db: 'connected' }, ...info };

  test('is asked for nothing that calls a model', async () => {
    await using api = await startFakeApi(serving(ready));
    const found = await look({ url: api.url, product: 'litellm', token, models: ['claude', 'gpt'] });
    expect(words(found)).toEqual([
      'llm-server-down litellm ok',
      'llm-model-missing claude ok',
      'llm-model-missing gpt critical',
      'llm-database-lost database ok',
      'llm-budget-used budget level',
    ]);
    expect(found.at(-1)).toMatchObject({
      summary: '9.00 of 10.00 of the budget is spent',
      reading: { value: 90, warning: { trigger: 80 }, critical: { trigger: 100 } },
    });
    expect(api.requests.map(({ path }) => path)).not.toContain('/health');
  });

  test('that drains or lost its engine is down', async () => {
    await using api = await startFakeApi(() => ({ status: 503, body: { status: 'shutting_down' } }));
    expect(words(await look({ url: api.url, product: 'litellm' }))).toEqual(['llm-server-down litellm critical']);
  });

  test('with another key is unknown in its models and budget', async () => {
    await using api = await startFakeApi(serving(ready));
    const found = await look({ url: api.url, product: 'litellm', token: { env: 'HOME' }, models: ['claude'] });
    expect(words(found)).toEqual([
      'llm-server-down litellm ok',
      'llm-model-missing models unknown',
      'llm-database-lost database ok',
      'llm-budget-used budget unknown',
    ]);
  });
});

describe('Ollama', () => {
  const tags = { '/api/version': { version: '0.12.6' }, '/api/tags': { models: [{ name: 'qwen3:latest' }] } };

  test('finds a model without its tag, and tells one that is split with the CPU', async () => {
    const models = [{ name: 'qwen3:latest', size: 20, size_vram: 12 }];
    await using api = await startFakeApi(serving({ ...tags, '/api/ps': { models } }));
    const found = await look({ url: api.url, product: 'ollama', models: ['qwen3'] });
    expect(words(found)).toEqual([
      'llm-server-down ollama ok',
      'llm-model-missing qwen3 ok',
      'llm-memory-spilled memory warning',
    ]);
    const options = check.options.parse({ url: api.url, product: 'ollama' });
    const evidence = await check.evidence.gather(options, checkContext(), found[0] as Observation);
    expect(evidence.flatMap(({ lines }) => lines)).toEqual(['qwen3:latest', 'qwen3:latest: 12 of 20 bytes on the GPU']);
  });

  test('that runs on the CPU alone is not called split', async () => {
    const models = [{ name: 'qwen3:latest', size: 20, size_vram: 0 }];
    await using api = await startFakeApi(serving({ ...tags, '/api/ps': { models } }));
    expect(words(await look({ url: api.url, product: 'ollama' }))).toContain('llm-memory-spilled memory ok');
  });
});

test('llama.cpp that loads its model has ten minutes', async () => {
  const error = { code: 503, message: 'Loading model', type: 'unavailable_error' };
  await using api = await startFakeApi(() => ({ status: 503, body: { error } }));
  expect(await look({ url: api.url, product: 'llama-cpp' })).toMatchObject([
    { summary: 'llama-cpp loads its model', holdMs: 600_000, reading: { ok: false, severity: 'warning' } },
  ]);
});

test('vLLM tells how many requests wait, over all engines', async () => {
  const metrics = 'vllm:num_requests_waiting{engine="0"} 20.0\nvllm:num_requests_waiting{engine="1"} 5.0\n';
  await using api = await startFakeApi(serving({ '/health': '', '/metrics': metrics }));
  const found = await look({ url: api.url, product: 'vllm' });
  expect(found.at(-1)).toMatchObject({ summary: '25 requests wait at vLLM', reading: { value: 25 } });
});
