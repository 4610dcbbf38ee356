import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Api, apiOptions, createApi, presence } from '#agents/sentinel/probes/api.ts';
import { loginHeaders, loginOptions } from '#agents/sentinel/probes/api-login.ts';
import type { ExposedMetric } from '#agents/sentinel/probes/exposition.ts';
import { alertOptions, foreignAlerts } from '#agents/sentinel/probes/foreign-alert.ts';
import { withHeaders } from '#agents/sentinel/probes/prometheus-api.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { type SelfMetric, selfObservations } from '#agents/sentinel/probes/self-metrics.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  url: apiOptions.url.describe('Address of Alertmanager, without /api/v2.'),
  ...loginOptions,
  peers: z
    .number()
    .int()
    .min(1)
    .max(100)
    .optional()
    .describe('Members that its cluster must have, itself included. Absent: any number.'),
  alerts: z
    .boolean()
    .default(false)
    .describe(
      'Whether its active alerts become findings; silenced and inhibited ones rest. Not needed where it sends them to Lares.',
    ),
  ...alertOptions,
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'alertmanager',
  about:
    'Alertmanager itself: whether it is ready, its cluster, its configuration, notifications that fail and alerts that get stuck; optionally its alerts.',
  options: Options,
  reach: 'network',
  resourceOf: () => name,
  observe,
  evidence: { about: 'the alerts that wait there, the receivers and the members of its cluster', gather },
});

const name = 'Alertmanager';

const selfMetrics: readonly SelfMetric[] = [
  {
    metric: 'alertmanager_config_last_reload_successful',
    bad: 'zero',
    condition: 'config-reload-failed',
    severity: 'warning',
    says: () => 'its configuration could not be loaded; the one before is in force',
  },
  // Attempts first: it gives a notification up only after minutes, and the worse of the two is told.
  {
    metric: 'alertmanager_notification_requests_failed_total',
    bad: 'rising',
    condition: 'notifications-failing',
    severity: 'warning',
    by: 'integration',
    says: (integration) => `attempts to notify by ${integration} fail`,
  },
  {
    metric: 'alertmanager_notifications_failed_total',
    bad: 'rising',
    condition: 'notifications-failing',
    severity: 'critical',
    by: 'integration',
    says: (integration) => `notifications by ${integration} fail`,
  },
  {
    metric: 'alertmanager_alerts_invalid_total',
    bad: 'rising',
    condition: 'alerts-invalid',
    severity: 'warning',
    says: () => 'alerts that it is sent are invalid',
  },
];

function apiOf(options: Options, context: CheckContext): { ok: true; api: Api } | { ok: false; reason: string } {
  const login = loginHeaders(options, context);
  return login.ok ? { ok: true, api: withHeaders(createApi(options, context), login.headers) } : login;
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const said = { condition: 'alertmanager-down', resource: name };
  const ready = apiOf(options, context);
  if (!ready.ok) return [unseen(said, ready.reason)];
  const { api } = ready;
  const health = presence(await api.text({ path: '/-/ready' }), { ...said, name });
  if (health.reading.is !== 'state' || !health.reading.ok) return [health];
  const gauges = ['alertmanager_alerts', 'alertmanager_cluster_enabled'];
  const self = await selfObservations(api, { resource: name, metrics: selfMetrics, gauges }, context);
  return [
    health,
    ...self.observations,
    ...stuck(self.exposed),
    await cluster(options, api),
    ...(options.alerts ? await activeAlerts(options, api) : []),
  ];
}

/** An alert is unprocessed until the first notification of its group; for minutes only when something is stuck. */
function stuck(exposed: readonly ExposedMetric[]): Observation[] {
  const gauge = exposed.find(({ name, labels }) => name === 'alertmanager_alerts' && labels['state'] === 'unprocessed');
  if (gauge === undefined) return [];
  return [
    state({
      condition: 'alerts-stuck',
      resource: name,
      summary: `${name} has ${counted(gauge.value, 'alert')} that ${gauge.value === 1 ? 'waits' : 'wait'} to be sorted`,
      holdMs: 10 * 60_000,
      ok: gauge.value === 0,
      severity: 'warning',
    }),
  ];
}

/** Version 0.25 and 0.33 alike. The v1 API is gone since 0.27. */
const Status = z.object({
  cluster: z.object({ status: z.string(), peers: z.array(z.object({ address: z.string().default('') })).default([]) }),
  config: z.object({ original: z.string().default('') }).optional(),
});

async function cluster(options: Options, api: Api): Promise<Observation> {
  const said = { condition: 'cluster-degraded', resource: name };
  const answer = await api.json(Status, { path: '/api/v2/status' });
  if (answer.is !== 'value') return unseen(said, answer.reason);
  const { status, peers } = answer.value.cluster;
  const wanted = options.peers ?? 0;
  const isSettled = status === 'ready' || status === 'disabled';
  const few = peers.length < wanted ? `, ${peers.length} of ${wanted} members` : '';
  return state({
    ...said,
    summary: `the cluster of ${name} is ${status}${few}`,
    ok: isSettled && few === '',
    severity: 'warning',
  });
}

const Alerts = z.array(
  z.object({
    labels: z.record(z.string(), z.string()),
    annotations: z.record(z.string(), z.string()).default({}),
    startsAt: z.string().default(''),
    status: z.object({
      state: z.string(),
      silencedBy: z.array(z.string()).nullish(),
      inhibitedBy: z.array(z.string()).nullish(),
      /** Since 0.28: time intervals of its route. */
      mutedBy: z.array(z.string()).nullish(),
    }),
  }),
);
type Alert = z.output<typeof Alerts>[number];

async function activeAlerts(options: Options, api: Api): Promise<Observation[]> {
  const answer = await api.json(Alerts, { path: '/api/v2/alerts' });
  if (answer.is !== 'value') return [unseen({ condition: 'alertmanager-alerts', resource: name }, answer.reason)];
  const found = foreignAlerts(
    answer.value.map((alert) => ({ ...alert, ...mutedBy(alert) })),
    options,
  );
  const summary = `${name} has ${counted(answer.value.length, 'alert')}`;
  return [
    ...found,
    state({ condition: 'alertmanager-alerts', resource: name, summary, ok: true, severity: 'warning' }),
  ];
}

function mutedBy({ status }: Alert): { muted?: string } {
  if ((status.silencedBy ?? []).length > 0) return { muted: 'silenced in Alertmanager' };
  if ((status.inhibitedBy ?? []).length > 0) return { muted: 'hidden in Alertmanager because its cause is told' };
  if ((status.mutedBy ?? []).length > 0) return { muted: 'Alertmanager keeps quiet at this time' };
  return status.state === 'suppressed' ? { muted: 'suppressed in Alertmanager' } : {};
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const ready = apiOf(options, context);
  if (!ready.ok) return [];
  const status = await ready.api.json(Status, { path: '/api/v2/status' });
  const alerts = await ready.api.json(Alerts, { path: '/api/v2/alerts' });
  const receivers =
    status.is === 'value'
      ? [...(status.value.config?.original ?? '').matchAll(/^- name: (\S+)$/gm)].map(([, receiver = '']) => receiver)
      : [];
  return [
    ...evidenceOf(
      'state',
      'Alerts that it has',
      alerts.is === 'value'
        ? alerts.value
            .slice(0, 30)
            .map(({ labels, startsAt, status: at }) => `${at.state} ${labels['alertname'] ?? ''} since ${startsAt}`)
        : [],
    ),
    ...evidenceOf('state', 'Its receivers', receivers),
    ...evidenceOf(
      'state',
      'Members of its cluster',
      status.is === 'value' ? status.value.cluster.peers.map(({ address }) => address) : [],
    ),
  ];
}
