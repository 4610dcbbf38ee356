import { createHmac } from 'node:crypto';
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

export interface GrafanaAlert {
  status?: 'firing' | 'resolved';
  labels: Record<string, string>;
  annotations?: Record<string, string>;
  values?: Record<string, number>;
  startsAt?: string;
  fingerprint?: string;
}

export interface GrafanaWebhookOptions {
  /** Signs with HMAC-SHA256, as Grafana 12 does. */
  secret?: string;
  /** Name of the header of the time, which is signed too; absent: the body alone is signed. */
  timestampHeader?: string;
  /** Unix seconds of that header. Default: now. */
  timestamp?: number;
  /** Value of the header `Authorization`. */
  authorization?: string;
}

/** Grafana's webhook body with its alerts in one group. */
export function grafanaWebhook(...alerts: GrafanaAlert[]): Record<string, unknown> {
  const isFiring = alerts.some(({ status }) => status !== 'resolved');
  return {
    receiver: 'lares',
    status: isFiring ? 'firing' : 'resolved',
    orgId: 1,
    alerts: alerts.map(grafanaAlert),
    groupLabels: {},
    commonLabels: {},
    commonAnnotations: {},
    externalURL: 'http://grafana.lan:3000/',
    version: '1',
    groupKey: '{}:{}',
    truncatedAlerts: 0,
    title: `[${isFiring ? 'FIRING' : 'RESOLVED'}:${alerts.length}]`,
    state: isFiring ? 'alerting' : 'ok',
    message: '**Firing**',
  };
}

function grafanaAlert(alert: GrafanaAlert, index: number): Record<string, unknown> {
  const { status = 'firing', labels, annotations = {}, values = { B: 44.239_437_375_419_08, C: 1 } } = alert;
  return {
    status,
    labels,
    annotations,
    startsAt: alert.startsAt ?? '2026-11-20T09:51:03.157076+02:00',
    endsAt: status === 'firing' ? '0001-01-01T00:00:00Z' : '2026-11-20T10:01:03Z',
    generatorURL: 'http://grafana.lan:3000/alerting/grafana/1afz29v7z/view',
    fingerprint: alert.fingerprint ?? `c6eadffa33fcdf3${index}`,
    silenceURL: 'http://grafana.lan:3000/alerting/silence/new?alertmanager=grafana',
    dashboardURL: '',
    panelURL: '',
    values,
    valueString: '[ var="B" labels={} value=44.239 ]',
  };
}

/** Posts as Grafana does. A text is sent as it is. */
export async function sendGrafanaWebhook(
  url: string,
  body: string | Record<string, unknown>,
  options: GrafanaWebhookOptions = {},
): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const headers: Record<string, string> = { 'content-type': 'application/json', 'user-agent': 'Grafana' };
  if (options.authorization !== undefined) headers['authorization'] = options.authorization;
  if (options.secret !== undefined) {
    const timestamp = String(options.timestamp ?? Math.floor(Date.now() / 1_000));
    if (options.timestampHeader !== undefined) headers[options.timestampHeader] = timestamp;
    const signed = options.timestampHeader === undefined ? text : `${timestamp}:${text}`;
    headers['X-Grafana-Alerting-Signature'] = createHmac('sha256', options.secret).update(signed).digest('hex');
  }
  return await fetch(url, { method: 'POST', headers, body: text });
}
