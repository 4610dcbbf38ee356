import { type ApiReply, type ApiRequest, type FakeApi, startFakeApi } from './fake-api.ts';
import { durationMs, LogqlFault, parseMetricQuery, parseSelector, evaluate, type LokiStream } from './logql.ts';
import { withSwitches } from './switches.ts';

interface State {
  /** False: the 15 seconds after a start. */
  isReady: boolean;
  /** Set: `auth_enabled`, whose streams are pushed. A request without the header is refused. */
  tenant: string | undefined;
  /** What `GET /config` prints. */
  config: string;
  /** Lines of `/metrics`. */
  metrics: string;
}

export type FakeLoki = FakeApi &
  State & {
    /** Pushes as an agent does; the times are epoch ms. */
    push(stream: Record<string, string>, lines: readonly (readonly [at: number, line: string])[]): Promise<void>;
  };

const defaultConfig = [
  'target: all',
  'auth_enabled: false',
  'limits_config:',
  '  retention_period: 744h',
  '  max_entries_limit_per_query: 5000',
  'compactor:',
  '  working_directory: /loki/compactor',
  '  retention_enabled: true',
  'table_manager:',
  '  retention_deletes_enabled: false',
].join('\n');

/**
 * Grafana Loki 3.x by what it was seen to answer: text errors, nanosecond texts, the warm-up, tenants, and the part of LogQL
 * that checks use (`count_over_time`, `rate` and `absent_over_time` with filters, `sum by`). Debian's package `loki` is
 * another program.
 */
export async function startFakeLoki(): Promise<FakeLoki> {
  const state: State = { isReady: true, tenant: undefined, config: defaultConfig, metrics: '' };
  const streams = new Map<string, LokiStream>();
  const api = await startFakeApi((request) => answer(request, state, streams));
  return Object.assign(withSwitches(api, state), {
    async push(stream: Record<string, string>, lines: readonly (readonly [number, string])[]) {
      const values = lines.map(([at, line]) => [`${Math.trunc(at)}000000`, line]);
      const reply = await fetch(`${api.url}/loki/api/v1/push`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(state.tenant !== undefined && { 'x-scope-orgid': state.tenant }),
        },
        body: JSON.stringify({ streams: [{ stream, values }] }),
      });
      if (reply.status !== 204) throw new Error(`the push was refused: ${reply.status}`);
    },
  });
}

function answer(request: ApiRequest, state: State, streams: Map<string, LokiStream>): ApiReply | undefined {
  const { path } = request;
  if (path === '/ready') {
    return state.isReady
      ? { body: 'ready\n' }
      : { status: 503, body: 'Ingester not ready: waiting for 15s after being ready\n' };
  }
  if (path === '/metrics') return { body: `loki_build_info{version="3.7.3"} 1\n${state.metrics}\n` };
  if (path === '/config') return { body: state.config };
  const tenant = request.headers['x-scope-orgid'];
  if (state.tenant !== undefined && tenant === undefined) return { status: 401, body: 'no org id\n' };
  // Another tenant is none that is refused: it has no streams.
  const isTheirs = state.tenant === undefined || tenant === state.tenant;
  try {
    return answerApi(request, isTheirs ? streams : new Map<string, LokiStream>());
  } catch (error) {
    if (error instanceof LogqlFault) return { status: 400, body: `${error.message}\n` };
    throw error;
  }
}

function answerApi({ path, query, body, method }: ApiRequest, streams: Map<string, LokiStream>): ApiReply | undefined {
  const success = (data: unknown): ApiReply => ({ body: { status: 'success', data } });
  const all = [...streams.values()];
  if (path === '/loki/api/v1/push' && method === 'POST') return push(body, streams);
  if (path === '/loki/api/v1/status/buildinfo')
    return success({ version: '3.7.3', revision: 'x', goVersion: 'go1.25' });
  if (path === '/loki/api/v1/labels')
    return success([...new Set(all.flatMap(({ labels }) => Object.keys(labels)))].sort());
  const [, label] = /^\/loki\/api\/v1\/label\/([^/]+)\/values$/.exec(path) ?? [];
  if (label !== undefined) return success(labelValues(all, decodeURIComponent(label), query));
  if (path === '/loki/api/v1/series') {
    const matches = parseSelector(query.get('match[]') ?? '{}');
    return { body: { status: 'success', data: all.map(({ labels }) => labels).filter(matches) } };
  }
  if (path === '/loki/api/v1/query') return instant(query.get('query') ?? '', all);
  if (path === '/loki/api/v1/query_range') return range(query, all);
  return undefined;
}

function push(body: string, streams: Map<string, LokiStream>): ApiReply {
  const pushed = JSON.parse(body) as { streams: { stream: Record<string, string>; values: [string, string][] }[] };
  for (const { stream, values } of pushed.streams) {
    const key = Object.keys(stream)
      .sort()
      .map((name) => `${name}=${stream[name] ?? ''}`)
      .join('\0');
    const known = streams.get(key) ?? { labels: stream, entries: [] };
    for (const [time, line] of values) known.entries.push({ time: BigInt(time), line });
    known.entries.sort((a, b) => (a.time < b.time ? -1 : 1));
    streams.set(key, known);
  }
  return { status: 204, body: '' };
}

function labelValues(all: readonly LokiStream[], label: string, query: URLSearchParams): string[] {
  const selector = query.get('query');
  const matches = selector === null ? () => true : parseSelector(selector);
  const values = all.filter(({ labels }) => matches(labels)).flatMap(({ labels }) => labels[label] ?? []);
  return [...new Set(values)].sort();
}

const stats = { summary: { execTime: 0.003, totalLinesProcessed: 12 } };

function instant(query: string, all: readonly LokiStream[]): ApiReply {
  const parsed = parseMetricQuery(query);
  if (parsed.is === 'lines') {
    throw new LogqlFault(
      'log queries are not supported as an instant query type, please change your query to a range query type',
    );
  }
  const now = Date.now();
  const result = evaluate(parsed, all, now).map(({ labels, value }) => ({
    metric: labels,
    value: [now / 1_000, String(value)],
  }));
  return { body: { status: 'success', data: { resultType: 'vector', result, stats } } };
}

function range(query: URLSearchParams, all: readonly LokiStream[]): ApiReply {
  const parsed = parseMetricQuery(query.get('query') ?? '');
  const end = timeOf(query.get('end')) ?? Date.now();
  const start = timeOf(query.get('start')) ?? end - (durationMs(query.get('since') ?? '1h') ?? 0);
  if (parsed.is !== 'lines') return matrix(parsed, all, { start, end, step: Number(query.get('step') ?? 60) * 1_000 });
  const limit = Number(query.get('limit') ?? 100);
  const isBackward = query.get('direction') !== 'forward';
  const result = all
    .filter(({ labels }) => parsed.matches(labels))
    .map(({ labels, entries }) => {
      const inTime = entries.filter(({ time, line }) => {
        const at = Number(time / 1_000_000n);
        return at >= start && at <= end && parsed.keeps(line);
      });
      const ordered = isBackward ? inTime.toReversed() : inTime;
      const values = ordered.slice(0, limit).map(({ time, line }) => [String(time), line]);
      return {
        stream: { ...labels, detected_level: 'unknown', service_name: labels['job'] ?? 'unknown_service' },
        values,
      };
    })
    .filter(({ values }) => values.length > 0);
  return { body: { status: 'success', data: { resultType: 'streams', result, stats } } };
}

function matrix(
  parsed: ReturnType<typeof parseMetricQuery>,
  all: readonly LokiStream[],
  { start, end, step }: { start: number; end: number; step: number },
): ApiReply {
  const courses = new Map<string, { metric: Record<string, string>; values: [number, string][] }>();
  for (let at = start; parsed.is !== 'lines' && at <= end; at += step) {
    for (const { labels, value } of evaluate(parsed, all, at)) {
      const key = JSON.stringify(labels);
      const course = courses.get(key) ?? { metric: labels, values: [] };
      course.values.push([at / 1_000, String(value)]);
      courses.set(key, course);
    }
  }
  return { body: { status: 'success', data: { resultType: 'matrix', result: [...courses.values()], stats } } };
}

/** Nanoseconds, seconds with a fraction, or RFC 3339. */
function timeOf(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (/^\d{15,}$/.test(text)) return Number(BigInt(text) / 1_000_000n);
  return /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1_000 : Date.parse(text);
}
