import { matchesEach, matchesInTime } from '#config/bounded-pattern.ts';
import type { HttpAnswer } from '#agents/runtime/http.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { jsonOf } from '#agents/sentinel/probes/text.ts';
import type { OpenAlert, Question } from './source.ts';

const receiver = { name: 'lares' };
const startedAt = performance.timeOrigin;
/** Shown for an alert that only a word of its sender ends. */
const openEndMs = 5 * 60_000;
const maximumMatchers = 20;
/** For one expression over all alerts; `door.ts` counts how many of those may be asked. */
const patienceMs = 250;

/** What Alertmanager's API v2 answers, as far as one asks an Alertmanager that only receives (`api/v2/openapi.yaml`). */
export function askAlertmanager(question: Question): HttpAnswer | undefined {
  const { method, path } = question;
  if (path === 'api/v1/alerts') return { status: 410, body: 'the v1 API is gone, use /api/v2\n' };
  if (method !== 'GET' && method !== 'HEAD') return refusedWrite(path);
  switch (path) {
    case '-/healthy':
    case '-/ready':
      return { status: 200, body: 'OK' };
    case 'api/v2/status':
      return json(statusOf());
    case 'api/v2/receivers':
      return json([receiver]);
    case 'api/v2/silences':
      return json([]);
    case 'api/v2/alerts':
      return select(question, (alerts) => alerts.map((alert) => shown(alert, question.now)));
    case 'api/v2/alerts/groups':
      return select(question, (alerts) => groupsOf(alerts, question.now));
    default:
      return undefined;
  }
}

function refusedWrite(path: string): HttpAnswer | undefined {
  if (path.startsWith('api/v2/silence')) {
    return { status: 405, body: 'silences are set in the chat: /silence\n', headers: { allow: 'GET' } };
  }
  if (path === '-/reload')
    return { status: 405, body: 'Lares reads its configuration itself\n', headers: { allow: 'GET' } };
  return undefined;
}

function json(value: unknown): HttpAnswer {
  return { status: 200, body: JSON.stringify(value), type: 'application/json' };
}

function statusOf(): object {
  const versionInfo = { branch: '', buildDate: '', buildUser: '', goVersion: '', revision: '', version: 'lares' };
  return {
    cluster: { status: 'disabled', peers: [] },
    config: { original: 'route: { receiver: lares }\nreceivers: [{ name: lares }]\n' },
    uptime: toInstant(startedAt),
    versionInfo,
  };
}

function select({ query, open }: Question, show: (alerts: OpenAlert[]) => object[]): HttpAnswer {
  const matchers = query.getAll('filter').slice(0, maximumMatchers).map(matcherOf);
  const bad = matchers.find((matcher) => typeof matcher === 'string');
  if (bad !== undefined) return { status: 400, body: JSON.stringify(bad), type: 'application/json' };
  const isWanted = query.get('active') !== 'false' && matchesReceiver(query.get('receiver'));
  let alerts = isWanted ? [...open] : [];
  for (const matcher of matchers) {
    const matching = typeof matcher === 'string' ? undefined : matcher(alerts);
    if (matching === undefined)
      return { status: 400, body: '"the expression takes too long"', type: 'application/json' };
    alerts = matching;
  }
  return json(show(alerts));
}

function matchesReceiver(pattern: string | null): boolean {
  if (pattern === null || pattern === '') return true;
  const compiled = compile(pattern);
  return compiled !== undefined && matchesInTime(compiled, receiver.name) === true;
}

/** Those that match; undefined when it takes too long to find out. */
type Matcher = (alerts: OpenAlert[]) => OpenAlert[] | undefined;

/** One of Alertmanager's matchers, `name="value"`, `!=`, `=~`, `!~`; or what is wrong with it. */
function matcherOf(text: string): Matcher | string {
  const match = /^\s*\{?\s*("(?:[^"\\]|\\.){1,300}"|[^\s=!~{}"]{1,300})\s*(=~|!~|!=|=)\s*(.{0,1000}?)\s*\}?\s*$/s.exec(
    text,
  );
  if (match === null) return `bad matcher format: ${text.slice(0, 100)}`;
  const [, name = '', operator = '', value = ''] = match;
  const label = unquoted(name);
  const wanted = unquoted(value);
  if (operator === '=' || operator === '!=') {
    return (alerts) => alerts.filter((alert) => (valueOf(alert, label) === wanted) === (operator === '='));
  }
  const pattern = compile(wanted);
  if (pattern === undefined) return `bad regular expression: ${wanted.slice(0, 100)}`;
  return (alerts) => {
    const values = alerts.map((alert) => valueOf(alert, label));
    const matches = matchesEach(pattern, values, patienceMs);
    return matches && alerts.filter((_alert, index) => matches[index] === (operator === '=~'));
  };
}

function valueOf({ labels }: OpenAlert, label: string): string {
  return Object.hasOwn(labels, label) ? (labels[label] ?? '') : '';
}

function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  const value = jsonOf(text);
  return typeof value === 'string' ? value : text.replaceAll(/^"|"$/g, '');
}

function compile(pattern: string): RegExp | undefined {
  try {
    return new RegExp(`^(?:${pattern.slice(0, 500)})$`, 's');
  } catch {
    return undefined;
  }
}

function shown({ labels, summary, details, ...alert }: OpenAlert, now: number): object {
  return {
    labels,
    annotations: { summary, ...(details.length > 0 && { description: details.join('\n') }) },
    startsAt: toInstant(alert.startsAt),
    endsAt: toInstant(Math.min(alert.endsAt ?? now + openEndMs, now + 3_650 * 86_400_000)),
    updatedAt: toInstant(alert.updatedAt),
    fingerprint: alert.fingerprint,
    generatorURL: alert.generatorUrl ?? '',
    receivers: [receiver],
    status: { state: 'active', silencedBy: [], inhibitedBy: [], mutedBy: [] },
  };
}

function groupsOf(alerts: readonly OpenAlert[], now: number): object[] {
  const byName = Map.groupBy(alerts, ({ labels }) => labels['alertname'] ?? '');
  return [...byName].map(([alertname, members]) => ({
    labels: { alertname },
    receiver,
    alerts: members.map((alert) => shown(alert, now)),
  }));
}
