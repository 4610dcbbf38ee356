import { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import type { Api } from './api.ts';
import { fewAtOnce } from './few-at-once.ts';
import { type AlertOptions, foreignAlerts } from './foreign-alert.ts';
import { asleep, state, unseen } from './reading.ts';
import { counted, jsonOf, oneLine } from './text.ts';

const Texts = z.record(z.string(), z.string());

/** `/api/prometheus/grafana/api/v1/rules`: Prometheus' shape with other words for states and health. */
export const GrafanaRules = z.object({
  status: z.literal('success'),
  data: z.object({
    groups: z.array(
      z.object({
        name: z.string(),
        /** Title of the folder. */
        file: z.string().default(''),
        rules: z.array(
          z.object({
            name: z.string(),
            type: z.string().default('alerting'),
            health: z.string().default('ok'),
            lastError: z.string().default(''),
            isPaused: z.boolean().default(false),
            alerts: z.array(z.object({ labels: Texts, annotations: Texts.default({}), state: z.string() })).nullish(),
          }),
        ),
      }),
    ),
  }),
});
type Answer = z.output<typeof GrafanaRules>;
type Rule = Answer['data']['groups'][number]['rules'][number] & { resource: string };

/** The alert rules with a name that is their own. */
export function rulesOf(answer: Answer): Rule[] {
  const rules = new Map<string, Rule>();
  for (const group of answer.data.groups) {
    for (const rule of group.rules) {
      if (rule.type !== 'alerting') continue;
      const name = `${group.file}/${rule.name}`;
      const resource = rules.has(name) ? `${group.file}/${group.name}/${rule.name}` : name;
      rules.set(resource, { ...rule, resource });
    }
  }
  return [...rules.values()];
}

const toldOneByOne = 200;

/** A rule without data or with an error knows nothing: it is unknown, not critical. */
export function grafanaRules(answer: Answer, whole: string): Observation[] {
  const rules = rulesOf(answer);
  const told = rules.length > toldOneByOne ? rules.filter(({ health }) => health !== 'ok') : rules;
  return [
    ...told.slice(0, 500).map(ruleObservation),
    state({
      condition: 'grafana-rules',
      resource: whole,
      summary: `it has ${counted(rules.length, 'alert rule')}`,
      ok: true,
      severity: 'warning',
    }),
  ];
}

function ruleObservation(rule: Rule): Observation {
  const said = { condition: 'grafana-rule', resource: rule.resource, labels: { rule: oneLine(rule.name, 200) } };
  if (rule.isPaused) return asleep({ ...said, summary: `${rule.resource} is paused` }, 'the rule is paused');
  if (rule.health === 'nodata') return unseen(said, 'its query gives no data');
  if (rule.health !== 'ok') return unseen(said, rule.lastError === '' ? 'it cannot be evaluated' : rule.lastError);
  return state({ ...said, summary: `${rule.resource} is evaluated`, ok: true, severity: 'warning' });
}

/** Firing instances. Grafana says `Alerting`, and `Alerting (NoData)` where missing data was configured to fire. */
export function grafanaAlerts(answer: Answer, options: AlertOptions): Observation[] {
  const firing = rulesOf(answer).flatMap(({ name, alerts }) =>
    (alerts ?? [])
      .filter(({ state }) => /^(?:alerting|firing|nodata|error)\b/i.test(state))
      .map(({ labels, annotations, state }) => ({
        labels: { alertname: name, ...labels },
        annotations,
        ...(isBlind(state, labels['alertname']) && {
          blind: /error/i.test(state) ? 'it cannot be evaluated' : 'its query gives no data',
        }),
      })),
  );
  return foreignAlerts(firing, options);
}

/** `DatasourceNoData` and `DatasourceError` are what Grafana makes of rules that see nothing. */
function isBlind(state: string, alertname: string | undefined): boolean {
  return /^(?:nodata|error)\b|\((?:nodata|error)/i.test(state) || /^Datasource(?:NoData|Error)$/.test(alertname ?? '');
}

const Datasources = z.array(z.object({ uid: z.string(), name: z.string(), type: z.string().default('') }));
const DatasourceHealth = z.object({ status: z.string().default(''), message: z.string().default('') });
const maximumDatasources = 50;

/** Whether each data source answers Grafana. A plug-in that has no such question is passed over. */
export async function datasourceObservations(api: Api, whole: string): Promise<Observation[]> {
  const answer = await api.json(Datasources, { path: '/api/datasources' });
  if (answer.is !== 'value') return [unseen({ condition: 'datasource-down', resource: whole }, answer.reason)];
  const found = await fewAtOnce(answer.value.slice(0, maximumDatasources), 4, async ({ uid, name, type }) => {
    const said = { condition: 'datasource-down', resource: name, labels: { datasource: oneLine(name, 200), type } };
    const health = await api.json(DatasourceHealth, { path: `/api/datasources/uid/${encodeURIComponent(uid)}/health` });
    if (health.is === 'value')
      return [state({ ...said, summary: `${name} answers Grafana`, ok: true, severity: 'warning' })];
    if (health.is !== 'refused' || health.status === 401 || health.status === 403) return [unseen(said, health.reason)];
    const words = DatasourceHealth.safeParse(jsonOf(health.body)).data;
    if (words?.status !== 'ERROR') return [];
    return [
      state({ ...said, summary: `${name} does not answer Grafana: ${words.message}`, ok: false, severity: 'warning' }),
    ];
  });
  const summary = `it has ${counted(answer.value.length, 'data source')}`;
  return [
    ...new Map(found.flat().map((observation) => [observation.resource, observation])).values(),
    state({ condition: 'datasource-down', resource: whole, summary, ok: true, severity: 'warning' }),
  ];
}
