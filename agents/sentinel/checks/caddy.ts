import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Api, type ApiAnswer, apiOptions, createApi, presence } from '#agents/sentinel/probes/api.ts';
import { authoritiesIn, observeAuthority } from '#agents/sentinel/probes/authority-life.ts';
import { exposedMetrics } from '#agents/sentinel/probes/exposition.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  url: apiOptions.url
    .default('http://localhost:2019')
    .describe('Address of the admin API; it answers on loopback only.'),
  authority: z.boolean().default(false).describe('Whether to say when the certificates of its own authority end.'),
});
type Options = z.output<typeof Options>;

/** `GET /config/`, as far as it is looked at; null before any configuration was loaded. */
const Config = z
  .object({
    apps: z
      .object({
        http: z
          .object({ servers: z.record(z.string(), z.object({ routes: z.array(z.unknown()).nullish() })).default({}) })
          .optional(),
      })
      .optional(),
  })
  .nullable();
const Authority = z.object({ root_certificate: z.string(), intermediate_certificate: z.string() });

const routesKey = 'routes';
const holdMs = 60_000;

export const check = defineCheck({
  kind: 'caddy',
  about: 'Caddy by its admin API: whether it answers, lost its sites, refused a configuration, or has dead upstreams.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'caddy',
  observe,
  evidence: { about: 'its servers and how many routes each has, and all upstreams with their state', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const config = await api.json(Config, { path: '/config/' });
  const there = presence(config, { condition: 'caddy-down', resource: 'caddy', name: 'Caddy' });
  if (config.is !== 'value') return [there];
  const metrics = await api.text({ path: '/metrics' });
  const authority = options.authority ? await lookAtAuthority(api, context) : [];
  return [there, lookAtRoutes(config.value, context), ...lookAtMetrics(metrics), ...authority];
}

/**
 * Caddy takes an empty configuration without complaint and drops every site. What it serves at the first look is what it
 * has to serve; fewer routes count after a while, as a person may have taken some away.
 */
function lookAtRoutes(config: z.output<typeof Config>, context: CheckContext): Observation {
  const routes = routesOf(config).reduce((sum, [, count]) => sum + count, 0);
  const known = context.memory.get(routesKey);
  const had = typeof known === 'number' && known > 0;
  if (routes > 0) remember(context.memory, routesKey, routes);
  const summary =
    routes === 0
      ? `Caddy serves nothing${had ? `; it had ${counted(known, 'route')}` : ''}`
      : `Caddy has ${counted(routes, 'route')}`;
  return state({
    condition: 'caddy-serves-nothing',
    resource: 'routes',
    summary,
    ok: routes > 0,
    severity: 'critical',
    holdMs,
  });
}

function routesOf(config: z.output<typeof Config>): [string, number][] {
  const servers = Object.entries(config?.apps?.http?.servers ?? {});
  return servers.map(([name, { routes }]) => [name, routes?.length ?? 0]);
}

/** The list of upstreams says nothing of active health checks; only the metrics do, and they have to be switched on. */
function lookAtMetrics(metrics: ApiAnswer<string>): Observation[] {
  const upstreams = { condition: 'upstream-down', resource: 'upstreams' };
  if (metrics.is !== 'value') return [unseen(upstreams, `its metrics: ${metrics.reason}`)];
  const reload = exposedMetrics(metrics.value, new Set([reloaded]))[0]?.value;
  const healths = upstreamsIn(metrics.value);
  const down = healths.filter(({ isHealthy }) => !isHealthy);
  return [
    ...(reload === undefined
      ? []
      : [
          state({
            condition: 'caddy-reload-failed',
            resource: 'configuration',
            summary:
              reload === 1
                ? 'Caddy took its last configuration'
                : 'Caddy refused its last configuration and runs the old one',
            ok: reload === 1,
            severity: 'warning',
          }),
        ]),
    state({
      ...upstreams,
      summary: `Caddy has ${counted(healths.length, 'upstream')}`,
      ok: true,
      severity: 'critical',
    }),
    ...down.slice(0, 200).map(({ name }) =>
      state({
        ...upstreams,
        resource: name,
        labels: { upstream: name.slice(0, 200) },
        summary: `the upstream ${name} of Caddy is not healthy`,
        ok: false,
        severity: 'critical',
      }),
    ),
  ];
}

const reloaded = 'caddy_config_last_reload_successful';
const healthy = 'caddy_reverse_proxy_upstreams_healthy';

function upstreamsIn(page: string): { name: string; isHealthy: boolean }[] {
  const found = exposedMetrics(page, new Set([healthy])).map(
    ({ labels, value }) => [labels['upstream'] ?? '', value === 1] as const,
  );
  return [...new Map(found)].map(([name, isHealthy]) => ({ name, isHealthy }));
}

async function lookAtAuthority(api: Api, context: CheckContext): Promise<Observation[]> {
  const condition = 'certificate-expiring';
  const authority = await api.json(Authority, { path: '/pki/ca/local' });
  if (authority.is !== 'value') return [unseen({ condition, resource: 'authority' }, authority.reason)];
  const pems = { root: authority.value.root_certificate, intermediate: authority.value.intermediate_certificate };
  return Object.entries(pems).map(([which, pem]) => {
    const resource = `${which} certificate`;
    const [own] = authoritiesIn(pem);
    if (own === undefined) return unseen({ condition, resource }, 'it is not a certificate');
    return observeAuthority(own, { resource, what: `the ${resource} of Caddy's authority`, now: context.clock.now() });
  });
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const api = createApi(options, context);
  const config = await api.json(Config, { path: '/config/' });
  const metrics = await api.text({ path: '/metrics' });
  const servers =
    config.is === 'value' ? routesOf(config.value).map(([name, count]) => `${name}: ${counted(count, 'route')}`) : [];
  const upstreams = metrics.is === 'value' ? upstreamsIn(metrics.value) : [];
  return [
    ...evidenceOf('state', 'Servers of Caddy', servers),
    ...evidenceOf(
      'state',
      'Upstreams',
      upstreams.map(({ name, isHealthy }) => `${name} ${isHealthy ? 'healthy' : 'not healthy'}`),
    ),
  ];
}
