import { z } from 'zod';
import { durationOr } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import {
  type Api,
  type ApiAnswer,
  apiOptions,
  createApi,
  presence,
  secretHeaders,
} from '#agents/sentinel/probes/api.ts';
import { fewAtOnce } from '#agents/sentinel/probes/few-at-once.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, oneLine, timeText } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  token: SecretRef.optional().describe('API token that may view events and outposts; with it both are watched.'),
  failedLogins: z.number().int().positive().default(10).describe('Failed logins from one address, more are a warning.'),
  within: durationOr('5m').describe('The time in which they are counted.'),
});
type Options = z.output<typeof Options>;

/** `GET /api/v3/events/events/` and `/api/v3/outposts/instances/` of authentik 2024 to 2026. */
const Events = z.object({
  results: z.array(z.object({ client_ip: z.string().nullish(), created: z.string() })),
});
const Outposts = z.object({ results: z.array(z.object({ pk: z.string(), name: z.string() })) });
const OutpostHealth = z.array(z.object({ last_seen: z.string(), version_outdated: z.boolean().default(false) }));

/** An outpost reports every 30 seconds. */
const outpostSilentMs = 5 * 60_000;
const maximumOutposts = 50;

export const check = defineCheck({
  kind: 'authentik',
  about:
    'Whether authentik and its database are ready; with a token many failed logins from one address, silent outposts.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'authentik',
  observe,
  evidence: { about: 'the last failed logins', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  // 200 in newer versions, 204 in older ones, 503 without its database.
  const ready = await api.text({ path: '/-/health/ready/' });
  const there = presence(ready, { condition: 'authentik-down', resource: 'authentik', name: 'authentik' });
  if (ready.is !== 'value' || options.token === undefined) return [there];
  const headers = secretHeaders(options.token, context);
  if (typeof headers === 'string')
    return [there, unseen({ condition: 'login-failures', resource: 'logins', hidesRest: true }, headers)];
  const [logins, outposts] = await Promise.all([
    lookAtLogins(api, options, { headers, context }),
    lookAtOutposts(api, { headers, context }),
  ]);
  return [there, ...logins, ...outposts];
}

interface Looking {
  headers: Record<string, string>;
  context: CheckContext;
}

function failedLogins(api: Api, headers: Record<string, string>): Promise<ApiAnswer<z.output<typeof Events>>> {
  const query = { action: 'login_failed', ordering: '-created', page_size: 200 };
  return api.json(Events, { path: '/api/v3/events/events/', query, headers });
}

async function lookAtLogins(api: Api, options: Options, { headers, context }: Looking): Promise<Observation[]> {
  const said = { condition: 'login-failures', resource: 'logins', holdMs: 0 };
  const events = await failedLogins(api, headers);
  if (events.is !== 'value') return [unseen(said, events.reason)];
  const since = context.clock.now() - options.within;
  const recent = events.value.results.filter(({ created }) => Date.parse(created) >= since);
  const byAddress = Map.groupBy(recent, ({ client_ip: address }) => address ?? 'an unknown address');
  const many = [...byAddress].filter(([, own]) => own.length > options.failedLogins).slice(0, 50);
  return [
    state({
      ...said,
      summary: `${counted(recent.length, 'failed login')} at authentik`,
      ok: true,
      severity: 'warning',
    }),
    ...many.map(([address, own]) =>
      state({
        ...said,
        resource: address,
        labels: { address: address.slice(0, 60) },
        summary: `${own.length} failed logins at authentik from ${address}`,
        ok: false,
        severity: 'warning',
      }),
    ),
  ];
}

async function lookAtOutposts(api: Api, { headers, context }: Looking): Promise<Observation[]> {
  const condition = 'authentik-outpost-silent';
  const outposts = await api.json(Outposts, { path: '/api/v3/outposts/instances/', headers });
  if (outposts.is !== 'value') return [unseen({ condition, resource: 'outposts' }, outposts.reason)];
  const { results } = outposts.value;
  const summary = `authentik has ${counted(results.length, 'outpost')}`;
  const found = await fewAtOnce(results.slice(0, maximumOutposts), 4, async ({ pk, name }) => {
    const said = { condition, resource: name, labels: { outpost: oneLine(name, 100) } };
    const path = `/api/v3/outposts/instances/${encodeURIComponent(pk)}/health/`;
    const health = await api.json(OutpostHealth, { path, headers });
    if (health.is !== 'value') return unseen(said, health.reason);
    const seen = Math.max(0, ...health.value.map((one) => Date.parse(one.last_seen) || 0));
    const ok = context.clock.now() - seen < outpostSilentMs;
    const words = seen === 0 ? 'never reported' : `reported last at ${timeText(seen)}`;
    return state({ ...said, summary: `outpost ${name} ${words}`, ok, severity: 'warning' });
  });
  return [state({ condition, resource: 'outposts', summary, ok: true, severity: 'warning' }), ...found];
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const headers = secretHeaders(options.token, context);
  if (typeof headers === 'string' || options.token === undefined) return [];
  const events = await failedLogins(createApi(options, context), headers);
  if (events.is !== 'value') return [];
  const lines = events.value.results
    .slice(0, 30)
    .map(({ created, client_ip: address }) => `${created} ${address ?? '-'}`);
  return evidenceOf('log', 'Failed logins', lines.toReversed());
}
