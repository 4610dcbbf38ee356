import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import {
  type Api,
  type ApiAnswer,
  apiOptions,
  bearerHeaders,
  createApi,
  presence,
} from '#agents/sentinel/probes/api.ts';
import { type Session, Sessions } from '#agents/sentinel/probes/api-session.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  user: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('E-mail of a user without two-factor login; with a password hosts are watched.'),
  password: SecretRef.optional().describe('Password of that user.'),
  ignore: z.array(z.string().max(255)).max(200).default([]).describe('Domain names to leave out.'),
});
type Options = z.output<typeof Options>;

/** Answers of the API of Nginx Proxy Manager 2. Numbers stand for booleans in older versions. */
const flag = z.union([z.boolean(), z.number()]).transform((value) => value === true || value === 1);
const Alive = z.object({ status: z.string() });
const Token = z.object({ token: z.string(), expires: z.string() });
const ProxyHosts = z.array(
  z.object({
    domain_names: z.array(z.string()),
    enabled: flag,
    forward_host: z.string().default(''),
    forward_port: z.number().default(0),
    meta: z.object({ nginx_online: z.boolean().optional(), nginx_err: z.string().nullish() }).default({}),
  }),
);
const Certificates = z.array(
  z.object({
    provider: z.string(),
    nice_name: z.string().default(''),
    domain_names: z.array(z.string()),
    expires_on: z.string(),
  }),
);

const dayMs = 86_400_000;
/** It renews 30 days before the end; what is left with less was not renewed. */
const warningDays = 14;
const criticalDays = 3;

/** A login lives for a day; one serves all looks. */
const sessions = new Sessions();

export const check = defineCheck({
  kind: 'nginx-proxy-manager',
  about: 'Whether Nginx Proxy Manager answers; hosts that nginx refused, certificates that were not renewed.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'nginx-proxy-manager',
  observe,
  evidence: { about: 'what nginx said of the hosts that it refused', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const alive = await api.json(Alive, { path: '/api/' });
  const said = { condition: 'nginx-proxy-manager-down', resource: 'nginx-proxy-manager' };
  const there = presence(alive, { ...said, name: 'Nginx Proxy Manager' });
  if (alive.is !== 'value' || options.password === undefined) return [there];
  const refused = { condition: 'proxy-host-failed', resource: 'hosts' };
  const { answer: hosts, headers } = await hostsOf(api, options, context);
  if (hosts.is !== 'value') return [there, unseen({ ...refused, hidesRest: true }, hosts.reason)];
  const certificates = await api.json(Certificates, { path: '/api/nginx/certificates', headers });
  const ending = { condition: 'certificate-expiring', resource: 'certificates' };
  return [
    there,
    ...judgeHosts(hosts.value, options),
    ...(certificates.is === 'value'
      ? judgeCertificates(certificates.value, options, context.clock.now())
      : [unseen(ending, certificates.reason)]),
  ];
}

/** The hosts, and the headers of a login for what is asked after them. */
function hostsOf(
  api: Api,
  options: Options,
  context: CheckContext,
): Promise<{ answer: ApiAnswer<Host[]>; headers: Record<string, string> }> {
  const { url, user = '', password } = options;
  const ask = (secret: string): Promise<ApiAnswer<Session>> => logIn(api, { identity: user, secret }, context);
  return sessions.open({ url, user, password, ask }, context, (headers) =>
    api.json(ProxyHosts, { path: '/api/nginx/proxy-hosts', headers }),
  );
}

async function logIn(
  api: Api,
  body: { identity: string; secret: string },
  context: CheckContext,
): Promise<ApiAnswer<Session>> {
  const answer = await api.json(Token, { method: 'POST', path: '/api/tokens', body });
  if (answer.is !== 'value') return answer;
  const lifeMs = Date.parse(answer.value.expires) - context.clock.now();
  return { ...answer, value: { headers: bearerHeaders(answer.value.token), lifeMs: lifeMs || 0 } };
}

type Host = z.output<typeof ProxyHosts>[number];

function judgeHosts(hosts: readonly Host[], { ignore }: Options): Observation[] {
  // A user whose visibility is "created items only" gets an empty list of what others made.
  if (hosts.length === 0) {
    return [unseen({ condition: 'proxy-host-failed', resource: 'hosts' }, 'it shows no proxy host to this user')];
  }
  const watched = hosts.filter(
    ({ enabled, domain_names: names }) => enabled && !names.some((name) => ignore.includes(name)),
  );
  const summary = `looked at ${counted(watched.length, 'proxy host')}`;
  const failed = watched.filter(({ meta }) => meta.nginx_online === false).slice(0, 200);
  return [
    state({ condition: 'proxy-host-failed', resource: 'hosts', summary, ok: true, severity: 'critical' }),
    ...failed.map(({ domain_names: names, meta }) => {
      const name = names[0] ?? 'a host without a name';
      const why = meta.nginx_err ? `: ${meta.nginx_err}` : '';
      const said = { condition: 'proxy-host-failed', resource: name, labels: { domain: name.slice(0, 200) } };
      return state({ ...said, summary: `nginx refused the host ${name}${why}`, ok: false, severity: 'critical' });
    }),
  ];
}

function judgeCertificates(
  certificates: z.output<typeof Certificates>,
  { ignore }: Options,
  now: number,
): Observation[] {
  const seen = new Set<string>();
  const found = certificates
    .slice(0, 500)
    .flatMap(({ nice_name: title, domain_names: names, expires_on: end, provider }) => {
      const name = title === '' ? (names[0] ?? 'a certificate without a name') : title;
      const at = Date.parse(end.includes('T') ? end : `${end.replace(' ', 'T')}Z`);
      if (seen.has(name) || names.some((one) => ignore.includes(one)) || !Number.isFinite(at)) return [];
      seen.add(name);
      const days = (at - now) / dayMs;
      return [
        level({
          condition: 'certificate-expiring',
          resource: name,
          labels: { provider: provider.slice(0, 60) },
          summary: days < 0 ? `the certificate ${name} ended` : `the certificate ${name} ends in ${Math.floor(days)} d`,
          value: days,
          unit: 'd',
          bad: 'below',
          warning: warningDays,
          critical: criticalDays,
          holdMs: 0,
        }),
      ];
    });
  const summary = `looked at ${counted(found.length, 'certificate')}`;
  return [
    state({ condition: 'certificate-expiring', resource: 'certificates', summary, ok: true, severity: 'warning' }),
    ...found,
  ];
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  if (options.password === undefined) return [];
  const { answer: hosts } = await hostsOf(createApi(options, context), options, context);
  if (hosts.is !== 'value') return [];
  const lines = hosts.value.flatMap(({ meta, domain_names: names, forward_host: host, forward_port: port }) =>
    meta.nginx_online === false ? [`${names.join(' ')} to ${host}:${port}: ${meta.nginx_err ?? 'no reason'}`] : [],
  );
  return evidenceOf('state', 'Hosts that nginx refused', lines);
}
