import { z } from 'zod';
import { durationOr, formatDuration } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import {
  type Api,
  type ApiAnswer,
  apiOptions,
  basicHeaders,
  createApi,
  presence,
  secretHeaders,
} from '#agents/sentinel/probes/api.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';
import {
  alertQuery,
  AlertSearch,
  incomplete,
  observeAlerts,
  observeVulnerabilities,
  vulnerabilityLine,
  vulnerabilityQuery,
  VulnerabilitySearch,
} from '#agents/sentinel/probes/wazuh-alerts.ts';

const level = z.number().int().min(1).max(15);
const Options = z.strictObject({
  ...apiOptions,
  user: z.string().min(1).max(200).describe('User of the indexer who may read the indices.'),
  password: SecretRef.describe('Password of that user.'),
  look: z
    .array(z.enum(['cluster', 'alerts', 'vulnerabilities']))
    .min(1)
    .default(['cluster', 'alerts'])
    .describe('What is looked at. `vulnerabilities` rarely change: once a day is enough.'),
  alerts: indexOr('wazuh-alerts-*').describe('Index pattern of the alerts.'),
  vulnerabilities: indexOr('wazuh-states-vulnerabilities-*').describe('Index pattern of the vulnerabilities.'),
  criticalLevel: level.default(12).describe('Level of a rule from which each alert is critical.'),
  countLevel: level.default(7).describe('Level from which alerts are counted.'),
  many: z.number().int().positive().default(200).describe('Alerts from that level on, as many are a warning.'),
  within: durationOr('15m').describe('Time in which alerts count, or since the last look where that is longer.'),
  singleNode: z.boolean().default(true).describe('Whether it is one node, for which `yellow` is normal.'),
});
type Options = z.output<typeof Options>;

/** It becomes part of a path. */
function indexOr(usual: string) {
  return z
    .string()
    .regex(/^[a-z0-9][a-z0-9._*-]{0,100}$/, 'must be an index pattern such as wazuh-alerts-*')
    .default(usual);
}

const Health = z.object({
  status: z.string(),
  number_of_nodes: z.number().default(0),
  unassigned_shards: z.number().default(0),
});

export const check = defineCheck({
  kind: 'wazuh-indexer',
  about: "Wazuh's indexer: its health, alerts of a high level, many alerts, and vulnerabilities by severity and agent.",
  options: Options,
  reach: 'network',
  resourceOf: () => 'indexer',
  observe,
  evidence: { about: 'the last alerts of the rule, or the critical vulnerabilities', gather },
});

type Headers = Record<string, string>;

function headersOf(options: Options, context: CheckContext): Headers | string {
  return secretHeaders(options.password, context, (password) => basicHeaders(options.user, password));
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const said = { condition: 'indexer-down', resource: 'indexer' };
  const headers = headersOf(options, context);
  if (typeof headers === 'string') return [unseen(said, headers)];
  const api = createApi(options, context);
  const health = await api.json(Health, { path: '/_cluster/health', headers });
  const there = presence(health, { ...said, name: 'the indexer of Wazuh' });
  if (health.is !== 'value') return [there];
  const { look } = options;
  const found = await Promise.all([
    look.includes('alerts') ? lookAtAlerts(api, options, { headers, context }) : [],
    look.includes('vulnerabilities') ? lookAtVulnerabilities(api, options, { headers, context }) : [],
  ]);
  return [there, ...(look.includes('cluster') ? [judge(health.value, options)] : []), ...found.flat()];
}

function judge(health: z.output<typeof Health>, { singleNode }: Options): Observation {
  const isRed = health.status === 'red';
  const isWell = health.status === 'green' || (health.status === 'yellow' && singleNode);
  return state({
    condition: 'indexer-unhealthy',
    resource: 'indexer',
    summary: `the indexer is ${oneLine(health.status, 20)}, ${counted(health.number_of_nodes, 'node')}, ${counted(health.unassigned_shards, 'shard')} without a place`,
    ok: isWell,
    severity: isRed ? 'critical' : 'warning',
  });
}

interface Of {
  headers: Headers;
  context: CheckContext;
}

/** What happened reaches the indexer with a delay. */
const lateMs = 120_000;

/** The time that counts: the given one, or since the look before when that is longer, at most a week. */
function since(key: string, shortestMs: number, context: CheckContext): { at: string; span: string; done: () => void } {
  const now = context.clock.now();
  const before = context.memory.get(key);
  const sinceLook = typeof before === 'number' && before < now ? now - before + lateMs : 0;
  const ms = Math.min(7 * 86_400_000, Math.max(shortestMs, sinceLook));
  return {
    at: new Date(now - ms).toISOString(),
    span: formatDuration(Math.ceil(ms / 60_000) * 60_000),
    done: () => remember(context.memory, key, now),
  };
}

function search<T>(
  api: Api,
  schema: z.ZodType<T>,
  of: { index: string; body: Record<string, unknown>; headers: Headers },
): Promise<ApiAnswer<T>> {
  const query = { ignore_unavailable: 'false', allow_no_indices: 'false' };
  return api.json(schema, { method: 'POST', path: `/${of.index}/_search`, query, headers: of.headers, body: of.body });
}

async function lookAtAlerts(api: Api, options: Options, { headers, context }: Of): Promise<Observation[]> {
  const { at, span, done } = since('alertsAt', options.within, context);
  const body = alertQuery({ since: at, critical: options.criticalLevel, size: 50 });
  const answer = await search(api, AlertSearch, { index: options.alerts, body, headers });
  const missing = answer.is === 'value' ? incomplete(answer.value) : answer.reason;
  if (answer.is !== 'value' || missing !== undefined) {
    return [unseen({ condition: 'wazuh-alert', resource: 'alerts', hidesRest: true }, missing ?? '')];
  }
  done();
  const { criticalLevel: critical, countLevel: count, many } = options;
  return observeAlerts(answer.value, { critical, count, many, span });
}

async function lookAtVulnerabilities(api: Api, options: Options, { headers, context }: Of): Promise<Observation[]> {
  const { at, span, done } = since('vulnerabilitiesAt', 86_400_000, context);
  const body = vulnerabilityQuery(at);
  const answer = await search(api, VulnerabilitySearch, { index: options.vulnerabilities, body, headers });
  const missing = answer.is === 'value' ? incomplete(answer.value) : answer.reason;
  if (answer.is !== 'value' || missing !== undefined) {
    return [unseen({ condition: 'vulnerabilities', resource: 'vulnerabilities', hidesRest: true }, missing ?? '')];
  }
  done();
  return observeVulnerabilities(answer.value, span);
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const headers = headersOf(options, context);
  if (typeof headers === 'string') return [];
  const api = createApi(options, context);
  const { agent, rule } = observation.labels ?? {};
  if (observation.condition.startsWith('vulnerabilities')) {
    const body = vulnerabilityQuery(new Date(context.clock.now()).toISOString());
    const found = await search(api, VulnerabilitySearch, { index: options.vulnerabilities, body, headers });
    const sources = found.is === 'value' ? found.value.hits.hits.map(({ _source: source }) => source) : [];
    const own = sources.filter((source) => agent === undefined || source.agent.name === agent);
    return evidenceOf('state', 'Critical vulnerabilities, newest last', own.map(vulnerabilityLine).toReversed());
  }
  const from = new Date(context.clock.now() - 86_400_000).toISOString();
  const least = observation.condition === 'wazuh-alert' ? options.criticalLevel : options.countLevel;
  const body = alertQuery({ since: from, critical: least, size: 50 });
  const found = await search(api, AlertSearch, { index: options.alerts, body, headers });
  const sources = found.is === 'value' ? found.value.hits.hits.map(({ _source: source }) => source) : [];
  const own = sources.filter((one) => rule === undefined || one.rule.id === rule);
  const lines = own.map(
    (one) => `${one.timestamp} ${one.agent.name} level ${one.rule.level} ${one.full_log || one.rule.description}`,
  );
  return evidenceOf('log', 'Alerts of Wazuh', lines.slice(0, 30).toReversed());
}
