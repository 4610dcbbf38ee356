import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { SecretRef } from '#config/schema.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import {
  type Api,
  type ApiAnswer,
  apiOptions,
  createApi,
  presence,
  secretHeaders,
} from '#agents/sentinel/probes/api.ts';
import { alertOptions } from '#agents/sentinel/probes/foreign-alert.ts';
import { withHeaders } from '#agents/sentinel/probes/prometheus-api.ts';
import {
  datasourceObservations,
  grafanaAlerts,
  GrafanaRules,
  grafanaRules,
  rulesOf,
} from '#agents/sentinel/probes/grafana.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { evidenceOf, jsonOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  url: apiOptions.url.describe('Address of Grafana.'),
  token: SecretRef.optional().describe(
    'Token of a service account with the role Viewer. Without it only the health is watched.',
  ),
  rules: z.boolean().default(true).describe('With a token: whether its alert rules have data and can be evaluated.'),
  alerts: z
    .boolean()
    .default(false)
    .describe('With a token: whether its firing alerts become findings. Not needed where it sends them to Lares.'),
  datasources: z
    .boolean()
    .default(false)
    .describe('With a token that may query them: whether its data sources answer. Asks each of them at every look.'),
  ...alertOptions,
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'grafana',
  about: 'Grafana: its health and database; with a token its alert rules without data, firing alerts and data sources.',
  options: Options,
  reach: 'network',
  resourceOf: () => name,
  observe,
  evidence: {
    about: 'its version and database, and the rules that cannot be evaluated with their last errors',
    gather,
  },
});

const name = 'Grafana';

const Health = z.object({ database: z.string(), version: z.string().default('') });

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const health = await api.json(Health, { path: '/api/health' });
  const found = healthObservations(health);
  if (options.token === undefined || health.is !== 'value') return found;
  const headers = secretHeaders(options.token, context);
  const blind = { condition: 'grafana-rules', resource: name, hidesRest: true };
  if (typeof headers === 'string') return [...found, unseen(blind, headers)];
  const authorized = withHeaders(api, headers);
  return [
    ...found,
    ...(options.rules || options.alerts ? await rules(options, authorized) : []),
    ...(options.datasources ? await datasourceObservations(authorized, name) : []),
  ];
}

/** With its database down Grafana answers 503 and says so. */
function healthObservations(answer: ApiAnswer<z.output<typeof Health>>): Observation[] {
  const down = presence(answer, { condition: 'grafana-down', resource: name, name });
  const said = Health.safeParse(answer.is === 'refused' ? jsonOf(answer.body) : undefined);
  const database = answer.is === 'value' ? answer.value.database : said.data?.database;
  if (database === undefined) return [down];
  const isFailing = database !== 'ok';
  return [
    // It answers, whatever its database does.
    state({ condition: 'grafana-down', resource: name, summary: 'Grafana answers', ok: true, severity: 'critical' }),
    state({
      condition: 'grafana-database-failing',
      resource: name,
      summary: isFailing ? `the database of ${name} is ${database}` : `the database of ${name} answers`,
      hidesRest: answer.is !== 'value',
      ok: !isFailing,
      severity: 'critical',
    }),
  ];
}

async function rules(options: Options, api: Api): Promise<Observation[]> {
  const answer = await api.json(GrafanaRules, { path: '/api/prometheus/grafana/api/v1/rules' });
  if (answer.is !== 'value') {
    return [unseen({ condition: 'grafana-rules', resource: name, hidesRest: true }, answer.reason)];
  }
  return [
    ...(options.rules ? grafanaRules(answer.value, name) : []),
    ...(options.alerts ? grafanaAlerts(answer.value, options) : []),
  ];
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const api = createApi(options, context);
  const health = await api.json(Health, { path: '/api/health' });
  const state =
    health.is === 'value' ? [`version ${health.value.version}`, `database ${health.value.database}`] : [health.reason];
  const headers = secretHeaders(options.token, context);
  if (options.token === undefined || typeof headers === 'string') return evidenceOf('state', 'Grafana', state);
  const authorized = withHeaders(api, headers);
  const answer = await authorized.json(GrafanaRules, { path: '/api/prometheus/grafana/api/v1/rules' });
  const failing = answer.is === 'value' ? rulesOf(answer.value).filter(({ health }) => health !== 'ok') : [];
  return [
    ...evidenceOf('state', 'Grafana', state),
    ...evidenceOf(
      'state',
      'Rules without a result',
      failing.map(({ name, health, lastError }) => `${health} ${name} ${lastError}`),
    ),
  ];
}
