import { type ApiReply, type ApiRequest, type FakeApi, startFakeApi } from './fake-api.ts';
import { withSwitches } from './switches.ts';

export interface GrafanaRule {
  name: string;
  state?: 'firing' | 'pending' | 'inactive';
  health?: 'ok' | 'nodata' | 'error';
  lastError?: string;
  labels?: Record<string, string>;
  alerts?: { labels: Record<string, string>; annotations?: Record<string, string>; state: string; value?: string }[];
}

export interface GrafanaDatasource {
  uid: string;
  name: string;
  type: string;
  /** What its health says; absent: its plug-in has no health check. */
  health?: { status: 'OK' | 'ERROR'; message: string };
}

export interface FakeGrafana extends FakeApi {
  /** Its own database is down. */
  isDatabaseFailing: boolean;
  rules: GrafanaRule[];
  datasources: GrafanaDatasource[];
}

/** The service account's token that it accepts. */
export const grafanaToken = 'glsa_test_token';

/** Grafana's HTTP API by its documentation of versions 11 to 13; Debian has no package of it. */
export async function startFakeGrafana(): Promise<FakeGrafana> {
  const state: Pick<FakeGrafana, 'isDatabaseFailing' | 'rules' | 'datasources'> = {
    isDatabaseFailing: false,
    rules: [],
    datasources: [],
  };
  const api = await startFakeApi((request) => answer(request, state));
  return withSwitches(api, state);
}

type State = Pick<FakeGrafana, 'isDatabaseFailing' | 'rules' | 'datasources'>;

function answer({ path, headers }: ApiRequest, state: State): ApiReply | undefined {
  if (path === '/api/health') {
    const body = { commit: '83b9528bce', database: state.isDatabaseFailing ? 'failing' : 'ok', version: '13.0.1' };
    return { status: state.isDatabaseFailing ? 503 : 200, body };
  }
  if (headers.authorization !== `Bearer ${grafanaToken}`) {
    return {
      status: 401,
      body: { message: 'Invalid API key', messageId: 'api-key.invalid', statusCode: 401, traceID: '' },
    };
  }
  if (path === '/api/prometheus/grafana/api/v1/rules') return { body: rulesBody(state.rules) };
  if (path === '/api/datasources')
    return { body: state.datasources.map(({ health: _health, ...one }, id) => ({ id, ...one })) };
  const [, uid] = /^\/api\/datasources\/uid\/([^/]+)\/health$/.exec(path) ?? [];
  return uid === undefined ? undefined : healthOf(state.datasources.find((one) => one.uid === uid));
}

function healthOf(datasource: GrafanaDatasource | undefined): ApiReply {
  const health = datasource?.health;
  if (health === undefined) return { status: 404, body: { message: 'Plugin not found', messageId: 'plugin.notFound' } };
  return { status: health.status === 'OK' ? 200 : 400, body: health };
}

function rulesBody(rules: readonly GrafanaRule[]): unknown {
  const shown = rules.map((rule) => ({
    state: rule.state ?? 'inactive',
    name: rule.name,
    query: '[{"refId":"A"}]',
    duration: 120,
    labels: rule.labels ?? {},
    annotations: {},
    health: rule.health ?? 'ok',
    ...(rule.lastError !== undefined && { lastError: rule.lastError }),
    type: 'alerting',
    lastEvaluation: '2026-11-20T03:00:00Z',
    evaluationTime: 0.001,
    alerts: (rule.alerts ?? []).map((alert) => ({
      annotations: {},
      value: '1e+00',
      activeAt: '2026-11-20T03:00:00Z',
      ...alert,
    })),
  }));
  const groups = [{ name: 'homelab', file: 'Alerts', folderUid: 'f1', interval: 60, rules: shown }];
  return { status: 'success', data: { groups, totals: {} } };
}
