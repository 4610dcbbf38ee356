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
import { exposedMetrics } from '#agents/sentinel/probes/exposition.ts';
import { asleep, state, unseen } from '#agents/sentinel/probes/reading.ts';
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
  about: 'Whether Uptime Kuma answers, and with an API key every monitor that it calls down.',
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
  return [there, ...judge(monitors, options)];
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

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const metrics = options.token === undefined ? undefined : await metricsOf(options, context);
  if (metrics?.is !== 'value') return [];
  const own = parseMonitors(metrics.value)?.find(({ name }) => name === observation.labels?.['monitor']);
  if (own === undefined) return [];
  const lines = Object.entries(own.labels).map(([label, value]) => `${label}: ${value}`);
  return evidenceOf('state', `Monitor ${own.name}`, lines);
}
