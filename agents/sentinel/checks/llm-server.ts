import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import {
  type Api,
  type ApiAnswer,
  apiOptions,
  createApi,
  presence,
  secretHeaders,
} from '#agents/sentinel/probes/api.ts';
import { exposedMetrics } from '#agents/sentinel/probes/exposition.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, jsonOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  product: z.enum(['litellm', 'ollama', 'llama-cpp', 'vllm']).describe('What serves there.'),
  token: SecretRef.optional().describe('API key, where one is needed to list models; for LiteLLM also its budget.'),
  models: z.array(z.string().max(200)).max(50).default([]).describe('Models that must be there.'),
  waitingAbove: z
    .number()
    .int()
    .positive()
    .default(20)
    .describe('vLLM: requests that wait, above which it is a warning.'),
});
type Options = z.output<typeof Options>;

/**
 * Liveness without a model call. LiteLLM's `/health` would call, and pay, every model; its readiness does not.
 */
const alive: Record<Options['product'], string> = {
  litellm: '/health/readiness',
  ollama: '/api/version',
  'llama-cpp': '/health',
  vllm: '/health',
};

const Models = z.object({ data: z.array(z.object({ id: z.string() })) });
const Tags = z.object({ models: z.array(z.object({ name: z.string() })) });
const Loaded = z.object({
  models: z.array(z.object({ name: z.string(), size: z.number(), size_vram: z.number().default(0) })),
});
const Readiness = z.object({ db: z.string().default('') });
const KeyInfo = z.object({ info: z.object({ spend: z.number().default(0), max_budget: z.number().nullish() }) });

/** A model of 70 GB is read from disk for minutes. */
const loadingMs = 10 * 60_000;

export const check = defineCheck({
  kind: 'llm-server',
  about:
    'LiteLLM, Ollama, llama.cpp and vLLM: whether they serve, their models, memory, queue and budget. Calls no model.',
  options: Options,
  reach: 'network',
  resourceOf: ({ product }) => product,
  observe,
  evidence: { about: 'the models that are there and those in memory', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const { product } = options;
  const answer = await api.text({ path: alive[product] });
  const said = { condition: 'llm-server-down', resource: product, hidesRest: true };
  if (isLoading(answer)) {
    const summary = `${product} loads its model`;
    return [state({ ...said, summary, ok: false, severity: 'warning', holdMs: loadingMs })];
  }
  const there = presence(answer, { ...said, name: product });
  if (answer.is !== 'value') return [there];
  const headers = secretHeaders(options.token, context);
  const models = { condition: 'llm-model-missing', resource: 'models', hidesRest: true };
  if (typeof headers === 'string') return [there, unseen(models, headers)];
  const more = await Promise.all([lookAtModels(api, options, headers), lookInside(api, options, { headers, answer })]);
  return [there, ...more.flat()];
}

/** llama.cpp while it reads its model: 503 with this message. */
function isLoading(answer: ApiAnswer<string>): boolean {
  return answer.is === 'refused' && answer.status === 503 && answer.body.includes('Loading model');
}

type Headers = Record<string, string>;

async function lookAtModels(api: Api, options: Options, headers: Headers): Promise<Observation[]> {
  if (options.models.length === 0) return [];
  const condition = 'llm-model-missing';
  const names = await namesOf(api, options, headers);
  if (names.is !== 'value') return [unseen({ condition, resource: 'models' }, names.reason)];
  // `qwen3` is listed as `qwen3:latest`.
  const isThere = (model: string): boolean => names.value.some((name) => name === model || name === `${model}:latest`);
  return options.models.map((model) =>
    state({
      condition,
      resource: model,
      labels: { model },
      summary: `${options.product} ${isThere(model) ? 'has' : 'does not have'} the model ${model}`,
      ok: isThere(model),
      severity: 'critical',
    }),
  );
}

async function namesOf(api: Api, { product }: Options, headers: Headers): Promise<ApiAnswer<string[]>> {
  if (product === 'ollama') {
    const tags = await api.json(Tags, { path: '/api/tags', headers });
    return tags.is === 'value' ? { ...tags, value: tags.value.models.map(({ name }) => name) } : tags;
  }
  const models = await api.json(Models, { path: '/v1/models', headers });
  return models.is === 'value' ? { ...models, value: models.value.data.map(({ id }) => id) } : models;
}

interface Inside {
  headers: Headers;
  answer: Extract<ApiAnswer<string>, { is: 'value' }>;
}

function lookInside(api: Api, options: Options, inside: Inside): Promise<Observation[]> {
  switch (options.product) {
    case 'litellm':
      return lookAtLitellm(api, options, inside);
    case 'ollama':
      return lookAtMemory(api);
    case 'vllm':
      return lookAtQueue(api, options);
    case 'llama-cpp':
      return Promise.resolve([]);
  }
}

async function lookAtLitellm(api: Api, options: Options, { headers, answer }: Inside): Promise<Observation[]> {
  const parsed = Readiness.safeParse(jsonOf(answer.value));
  const lost = parsed.success && parsed.data.db !== '' && !['connected', 'Not connected'].includes(parsed.data.db);
  const database = state({
    condition: 'llm-database-lost',
    resource: 'database',
    summary: `the database of LiteLLM is ${parsed.success && parsed.data.db !== '' ? parsed.data.db : 'not used'}`,
    ok: !lost,
    severity: 'warning',
  });
  if (options.token === undefined) return [database];
  const key = await api.json(KeyInfo, { path: '/key/info', headers });
  const said = { condition: 'llm-budget-used', resource: 'budget' };
  if (key.is !== 'value') return [database, unseen(said, key.reason)];
  const { spend, max_budget: budget } = key.value.info;
  if (budget === null || budget === undefined || budget === 0) return [database];
  const summary = `${spend.toFixed(2)} of ${budget.toFixed(2)} of the budget is spent`;
  return [
    database,
    level({ ...said, summary, value: (spend / budget) * 100, unit: '%', bad: 'above', warning: 80, critical: 100 }),
  ];
}

async function lookAtMemory(api: Api): Promise<Observation[]> {
  const said = { condition: 'llm-memory-spilled', resource: 'memory', severity: 'warning' as const };
  const loaded = await api.json(Loaded, { path: '/api/ps' });
  if (loaded.is !== 'value') return [unseen(said, loaded.reason)];
  const spilled = loaded.value.models.filter(({ size, size_vram: inVram }) => inVram > 0 && inVram < size);
  const names = spilled.map(({ name }) => name).join(', ');
  const summary =
    spilled.length === 0
      ? `${counted(loaded.value.models.length, 'model')} in memory, none split with the CPU`
      : `does not fit into the memory of the GPU and runs partly on the CPU: ${names}`;
  return [state({ ...said, summary, ok: spilled.length === 0 })];
}

async function lookAtQueue(api: Api, options: Options): Promise<Observation[]> {
  const said = { condition: 'llm-queue-long', resource: 'queue', holdMs: 5 * 60_000 };
  const metrics = await api.text({ path: '/metrics' });
  if (metrics.is !== 'value') return [unseen(said, metrics.reason)];
  const waiting = exposedMetrics(metrics.value, new Set(['vllm:num_requests_waiting']));
  if (waiting.length === 0) return [unseen(said, 'its metrics do not tell how many requests wait')];
  const value = waiting.reduce((sum, one) => sum + one.value, 0);
  const summary = `${counted(value, 'request')} wait at vLLM`;
  return [level({ ...said, summary, value, unit: 'requests', bad: 'above', warning: options.waitingAbove })];
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const api = createApi(options, context);
  const headers = secretHeaders(options.token, context);
  const names = await namesOf(api, options, typeof headers === 'string' ? {} : headers);
  const loaded = options.product === 'ollama' ? await api.json(Loaded, { path: '/api/ps' }) : undefined;
  const inMemory =
    loaded?.is === 'value'
      ? loaded.value.models.map((one) => `${one.name}: ${one.size_vram} of ${one.size} bytes on the GPU`)
      : [];
  return [
    ...evidenceOf('state', 'Models', names.is === 'value' ? names.value : [names.reason]),
    ...evidenceOf('state', 'In memory', inMemory),
  ];
}
