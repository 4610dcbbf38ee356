import { z } from 'zod';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { type Api, type ApiAnswer, type ApiCall, type ApiOptions, apiOptions, createApi } from './api.ts';
import { type LoginOptions, loginHeaders, loginOptions } from './api-login.ts';
import { jsonOf, oneLine } from './text.ts';

/** The keys of kinds that ask Prometheus, VictoriaMetrics or what speaks like them. */
export const metricsOptions = {
  ...apiOptions,
  url: apiOptions.url.describe('Address of Prometheus or VictoriaMetrics, without /api/v1.'),
  ...loginOptions,
};

export type MetricsOptions = ApiOptions & LoginOptions;

/** One series of an instant query. The value may be NaN or infinite. */
export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** One series of a range query; the times are epoch ms. */
export interface Course {
  labels: Record<string, string>;
  points: { at: number; value: number }[];
}

export type Asked<T> =
  | { ok: true; value: T; /** Why it is not all, when it is not. */ partial?: string }
  /** `wrong`: the server understood and refused the expression; asking again is of no use. */
  | { ok: false; reason: string; wrong: boolean };

export interface Metrics {
  query(expression: string): Promise<Asked<Sample[]>>;
  /** The last `spanMs` in steps. */
  range(expression: string, of: { spanMs: number; stepMs: number }): Promise<Asked<Course[]>>;
  get<T>(schema: z.ZodType<T>, call: ApiCall): Promise<ApiAnswer<T>>;
  text(call: ApiCall): Promise<ApiAnswer<string>>;
}

const LabelSet = z.record(z.string(), z.string());
const Point = z.tuple([z.number(), z.string()]);
const VectorData = z.object({
  resultType: z.literal('vector'),
  // A native histogram has no value of its own.
  result: z.array(z.object({ metric: LabelSet, value: Point.optional() })),
});
const ScalarData = z.object({ resultType: z.literal('scalar'), result: Point });
const MatrixData = z.object({
  resultType: z.literal('matrix'),
  result: z.array(z.object({ metric: LabelSet, values: z.array(Point).default([]) })),
});

function answerSchema<T>(data: z.ZodType<T>) {
  return z.object({
    status: z.literal('success'),
    data,
    /** VictoriaMetrics' cluster, when a part of its storage is silent. */
    isPartial: z.boolean().optional(),
    warnings: z.array(z.string()).optional(),
  });
}
const InstantAnswer = answerSchema(z.union([VectorData, ScalarData]));
const RangeAnswer = answerSchema(MatrixData);
const ErrorAnswer = z.object({ status: z.literal('error'), error: z.string(), errorType: z.string().optional() });

/** Long expressions do not fit into every proxy's limit of a URL. */
const longestInUrl = 1_500;

/** `prefix`: where the API begins; Loki answers metric queries in the same shapes below its own. */
export function createMetrics(
  options: MetricsOptions,
  context: CheckContext,
  prefix = '/api/v1',
): { ok: true; metrics: Metrics } | { ok: false; reason: string } {
  const login = loginHeaders(options, context);
  if (!login.ok) return login;
  const api = withHeaders(createApi(options, context), login.headers);
  return {
    ok: true,
    metrics: {
      get: (schema, call) => api.json(schema, call),
      text: (call) => api.text(call),
      async query(expression) {
        return asked(await api.json(InstantAnswer, queryCall(`${prefix}/query`, { query: expression })), samplesOf);
      },
      async range(expression, { spanMs, stepMs }) {
        const end = context.clock.now() / 1_000;
        const times = { start: String(end - spanMs / 1_000), end: String(end), step: String(stepMs / 1_000) };
        const call = queryCall(`${prefix}/query_range`, { query: expression, ...times });
        return asked(await api.json(RangeAnswer, call), coursesOf);
      },
    },
  };
}

/** The same API with headers that every call sends. */
export function withHeaders(api: Api, headers: Record<string, string>): Api {
  return {
    json: (schema, call) => api.json(schema, { ...call, headers: { ...headers, ...call.headers } }),
    text: (call) => api.text({ ...call, headers: { ...headers, ...call.headers } }),
  };
}

/** `nocache`: VictoriaMetrics answers from a cache otherwise; Prometheus ignores it. */
function queryCall(path: string, parameters: Record<string, string>): ApiCall {
  const all = { ...parameters, nocache: '1' };
  if ((parameters['query'] ?? '').length <= longestInUrl) return { path, query: all };
  return { path, method: 'POST', body: new URLSearchParams(all) };
}

function asked<A extends { data: unknown; isPartial?: boolean | undefined }, T>(
  answer: ApiAnswer<A>,
  valueOf: (data: A['data']) => T,
): Asked<T> {
  if (answer.is === 'value') {
    const value = valueOf(answer.value.data);
    return answer.value.isPartial === true
      ? { ok: true, value, partial: 'a part of its storage did not answer' }
      : { ok: true, value };
  }
  return { ok: false, ...refusalOf(answer) };
}

/** Prometheus says 400 `bad_data` and 422 `execution`, VictoriaMetrics 422 for both; both explain it in JSON. */
export function refusalOf(answer: Exclude<ApiAnswer<unknown>, { is: 'value' }>): { reason: string; wrong: boolean } {
  if (answer.is !== 'refused') return { reason: answer.reason, wrong: false };
  const error = ErrorAnswer.safeParse(jsonOf(answer.body));
  if (!error.success || answer.status >= 500) return { reason: answer.reason, wrong: false };
  return { reason: `it refuses the expression: ${oneLine(error.data.error, 200)}`, wrong: true };
}

function samplesOf(data: z.output<typeof InstantAnswer>['data']): Sample[] {
  if (data.resultType === 'scalar') return [{ labels: {}, value: sampleValue(data.result[1]) }];
  return data.result.map(({ metric, value }) => ({ labels: metric, value: sampleValue(value?.[1] ?? 'NaN') }));
}

function coursesOf(data: z.output<typeof MatrixData>): Course[] {
  return data.result.map(({ metric, values }) => ({
    labels: metric,
    points: values.map(([at, value]) => ({ at: at * 1_000, value: sampleValue(value) })),
  }));
}

/** Go's spelling of a number: `1e+10`, `+Inf`, `NaN`. */
export function sampleValue(text: string): number {
  const infinite = /^([+-]?)Inf(?:inity)?$/i.exec(text.trim());
  if (infinite !== null) return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return text.trim() === '' ? Number.NaN : Number(text);
}
