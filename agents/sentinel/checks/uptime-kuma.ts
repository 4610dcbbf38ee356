import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import {
  type ApiAnswer,
  apiOptions,
  basicHeaders,
  createApi,
  presence,
  secretHeaders,
} from '#agents/sentinel/probes/api.ts';
import { type ExposedMetric, exposedMetrics } from '#agents/sentinel/probes/exposition.ts';
import { asleep, level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  token: SecretRef.optional().describe('API key, or the password of `user`; with it all monitors are watched.'),
  user: z.string().max(100).default('').describe('Login name where no API keys are used. Empty with an API key.'),
  ignore: z.array(z.string().max(200)).max(500).default([]).describe('Names of monitors to leave out.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'uptime-kuma',
  about: 'Whether Uptime Kuma answers, and with an API key every monitor that it calls down and certificates that end.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'uptime-kuma',
  observe,
  evidence: { about: 'the monitor as Uptime Kuma exports it', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const page = await api.text({ path: '/api/entry-page' });
  const there = presence(page, { condition: 'uptime-kuma-down', resource: 'uptime-kuma', name: 'Uptime Kuma' });
  if (page.is !== 'value' || options.token === undefined) return [there];
  const said = { condition: 'monitor-down', resource: 'monitors' };
  const metrics = await metricsOf(options, context);
  if (metrics.is !== 'value') return [there, unseen(said, metrics.reason)];
  const monitors = parseMonitors(metrics.value);
  if (monitors === undefined) return [there, unseen(said, 'its metrics name no monitors')];
  return [there, ...judge(monitors, options), ...certificatesOf(metrics.value, options, context)];
}

function metricsOf(options: Options, context: CheckContext): Promise<ApiAnswer<string>> {
  const headers = secretHeaders(options.token, context, (secret) => basicHeaders(options.user, secret));
  if (typeof headers === 'string') return Promise.resolve({ is: 'unable', reason: headers });
  return createApi(options, context).text({ path: '/metrics', headers });
}

interface Monitor {
  name: string;
  status: number;
  labels: Record<string, string>;
}

/** Undefined when the text is not an export of Uptime Kuma; one without monitors still declares them. */
function parseMonitors(text: string): Monitor[] | undefined {
  if (!/^# TYPE monitor_status /m.test(text)) return undefined;
  return exposedMetrics(text, new Set(['monitor_status'])).flatMap(({ labels, value: status }) => {
    const name = labels['monitor_name'];
    return name === undefined ? [] : [{ name, status, labels }];
  });
}

/** 1 up, 0 down, 2 pending, 3 maintenance (2.5). */
function judge(monitors: readonly Monitor[], { ignore }: Options): Observation[] {
  const watched = monitors.filter(({ name }) => !ignore.includes(name));
  // Of two with one name the one that is down is told.
  const named = new Map<string, Monitor>();
  for (const one of watched) if (one.status === 0 || !named.has(one.name)) named.set(one.name, one);
  return [
    state({
      condition: 'monitor-down',
      resource: 'monitors',
      summary: `Uptime Kuma has ${counted(watched.length, 'monitor')}`,
      ok: true,
      severity: 'critical',
    }),
    ...[...named.values()].slice(0, 2_000).map(({ name, status }) => {
      const said = { condition: 'monitor-down', resource: name, labels: { monitor: name.slice(0, 200) } };
      if (status === 3) return asleep({ ...said, summary: `${name} is in maintenance` }, 'it is in maintenance');
      const word = status === 1 ? 'is up' : status === 0 ? 'is down' : 'is being tried again';
      // Uptime Kuma has retried already; a pending one is not down yet.
      const summary = `${name} ${word}, says Uptime Kuma`;
      return state({ ...said, summary, ok: status !== 0, severity: 'critical', holdMs: 0 });
    }),
  ];
}

/** Days left and the most that were left since the last renewal, of each monitor. */
const Lives = z.record(z.string(), z.object({ left: z.number(), most: z.number() }));
const maximumLives = 500;
/** A life that is counted in hours cannot be judged by whole days. */
const shortestLifeDays = 3;

/** What Uptime Kuma reads from the certificates that it is shown. */
function certificatesOf(text: string, { ignore }: Options, { memory }: CheckContext): Observation[] {
  const found = exposedMetrics(text, new Set(['monitor_cert_days_remaining', 'monitor_cert_is_valid']));
  const known = Lives.safeParse(memory.get('certificates'));
  const lives: z.output<typeof Lives> = {};
  const byName = Map.groupBy(found, ({ labels }) => labels['monitor_name'] ?? '');
  const observations = [...byName].flatMap(([name, metrics]) => {
    if (name === '' || ignore.includes(name)) return [];
    const left = leastOf(metrics, 'monitor_cert_days_remaining');
    const isValid = leastOf(metrics, 'monitor_cert_is_valid') !== 0;
    const before = known.success ? known.data[name] : undefined;
    if (left === undefined || Number.isNaN(left)) return [validityOf(name, isValid)];
    // It does not tell how long the whole life is: the third and the tenth of what was left at first stand in for it.
    const most = before === undefined || left > before.left ? left : before.most;
    lives[name] = { left, most };
    return [validityOf(name, isValid), ...(most < shortestLifeDays ? [] : [endOf(name, { left, most })])];
  });
  remember(memory, 'certificates', Object.fromEntries(Object.entries(lives).slice(0, maximumLives)));
  return observations;
}

function leastOf(metrics: readonly ExposedMetric[], metric: string): number | undefined {
  const values = metrics.filter(({ name }) => name === metric).map(({ value }) => value);
  return values.length === 0 ? undefined : Math.min(...values);
}

function validityOf(name: string, isValid: boolean): Observation {
  return state({
    condition: 'certificate-invalid',
    resource: name,
    labels: { monitor: name.slice(0, 200) },
    summary: `the certificate of ${name} is ${isValid ? 'valid' : 'not valid'}, says Uptime Kuma`,
    ok: isValid,
    severity: 'critical',
    holdMs: 0,
  });
}

function endOf(name: string, { left, most }: { left: number; most: number }): Observation {
  return level({
    condition: 'certificate-expiring',
    resource: name,
    labels: { monitor: name.slice(0, 200) },
    summary: `the certificate of ${name} ends in ${counted(left, 'day')}, says Uptime Kuma`,
    value: left,
    unit: 'd',
    bad: 'below',
    warning: Math.min(14, most / 3),
    critical: Math.min(3, most / 10),
    holdMs: 0,
  });
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const metrics = options.token === undefined ? undefined : await metricsOf(options, context);
  if (metrics?.is !== 'value') return [];
  const own = parseMonitors(metrics.value)?.find(({ name }) => name === observation.labels?.['monitor']);
  if (own === undefined) return [];
  const lines = Object.entries(own.labels).map(([label, value]) => `${label}: ${value}`);
  return evidenceOf('state', `Monitor ${own.name}`, lines);
}
