import { z } from 'zod';
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
import { observeLifetime } from '#agents/sentinel/probes/certificate.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';
import { lookAtOverview } from '#agents/sentinel/probes/traefik-overview.ts';

const Options = z.strictObject({
  ...apiOptions,
  user: z.string().min(1).max(100).optional().describe('User, where the API is behind basic authentication.'),
  password: SecretRef.optional().describe('Password of that user.'),
  ignore: z
    .array(z.string().max(200))
    .max(200)
    .default([])
    .describe(
      'Routers, services and middlewares that may be bad, as app@docker, and certificates that may end, by their name.',
    ),
});
type Options = z.output<typeof Options>;

/** `GET /api/http/routers`, `/api/http/services` and `/api/certificates` (from 3.7) of Traefik 3. */
const Routers = z.array(
  z.object({ name: z.string(), status: z.string().default('enabled'), error: z.array(z.string()).nullish() }),
);
const Services = z.array(
  z.object({
    name: z.string(),
    status: z.string().default('enabled'),
    error: z.array(z.string()).nullish(),
    serverStatus: z.record(z.string(), z.string()).nullish(),
  }),
);
const Certificates = z.array(
  z.object({
    commonName: z.string().default(''),
    sans: z.array(z.string()).nullish(),
    notBefore: z.string().optional(),
    notAfter: z.string(),
  }),
);

const maximumPages = 20;

export const check = defineCheck({
  kind: 'traefik',
  about: 'Whether Traefik answers; routers, services and middlewares with errors, dead servers, certificates that end.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'traefik',
  observe,
  evidence: { about: 'the errors of all routers and services, and servers that are down', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const headers = headersOf(options, context);
  const said = { condition: 'traefik-down', resource: 'traefik' };
  if (typeof headers === 'string') return [unseen(said, headers)];
  const routers = await listed(api, Routers, { path: '/api/http/routers', headers });
  const there = presence(routers, { ...said, name: 'Traefik' });
  if (routers.is !== 'value') return [there];
  const services = await listed(api, Services, { path: '/api/http/services', headers });
  const certificates = await api.json(Certificates, { path: '/api/certificates', headers });
  return [
    there,
    ...faults('traefik-router-bad', routers.value, options),
    ...(services.is === 'value'
      ? [...faults('traefik-service-bad', services.value, options), ...deadServers(services.value, options)]
      : [unseen({ condition: 'traefik-service-bad', resource: 'services', hidesRest: true }, services.reason)]),
    ...(await lookAtOverview(api, { headers, ignore: options.ignore })),
    ...certificatesOf(certificates, { ignore: options.ignore, now: context.clock.now() }),
  ];
}

function headersOf({ user, password }: Options, context: CheckContext): Record<string, string> | string {
  return secretHeaders(password, context, (secret) => basicHeaders(user ?? '', secret));
}

/** All pages of a list: Traefik gives 100 items and names the next page in a header. */
async function listed<T>(
  api: Api,
  schema: z.ZodType<T[]>,
  call: { path: string; headers: Record<string, string> },
): Promise<ApiAnswer<T[]>> {
  const items: T[] = [];
  let page = 1;
  for (let turn = 0; turn < maximumPages; turn += 1) {
    const answer = await api.json(schema, { ...call, query: { per_page: 1_000, page } });
    if (answer.is !== 'value') return answer;
    items.push(...answer.value);
    const next = Number(answer.headers['x-next-page'] ?? 1);
    if (!(next > page)) return { ...answer, value: items };
    page = next;
  }
  return { is: 'unreadable', reason: `it lists more than ${counted(maximumPages, 'page')}` };
}

interface Thing {
  name: string;
  status: string;
  error?: string[] | null | undefined;
}

function faults(condition: string, things: readonly Thing[], { ignore }: Options): Observation[] {
  const noun = condition === 'traefik-router-bad' ? 'router' : 'service';
  const watched = things.filter(({ name }) => !ignore.includes(name));
  const bad = watched.filter(({ status }) => status !== 'enabled').slice(0, 200);
  return [
    state({
      condition,
      resource: `${noun}s`,
      summary: `looked at ${counted(watched.length, noun)}`,
      ok: true,
      severity: 'critical',
    }),
    ...bad.map(({ name, status, error }) =>
      state({
        condition,
        resource: name,
        labels: { [noun]: name.slice(0, 200) },
        summary: `${noun} ${name} is ${status}: ${(error ?? []).join('; ') || 'Traefik gives no reason'}`,
        ok: false,
        severity: status === 'warning' ? 'warning' : 'critical',
      }),
    ),
  ];
}

/** Only services with a health check know; all others say UP. */
function deadServers(services: z.output<typeof Services>, { ignore }: Options): Observation[] {
  return services.flatMap(({ name, serverStatus }) => {
    const servers = Object.entries(serverStatus ?? {});
    const down = servers.filter(([, status]) => status !== 'UP').map(([server]) => server);
    if (ignore.includes(name) || servers.length === 0) return [];
    return [
      state({
        condition: 'traefik-server-down',
        resource: name,
        labels: { service: name.slice(0, 200) },
        summary:
          `${down.length} of ${counted(servers.length, 'server')} of ${name} ${down.length === 1 ? 'is' : 'are'} down: ${down.join(', ')}`.replace(
            /: $/,
            '',
          ),
        ok: down.length === 0,
        severity: down.length === servers.length ? 'critical' : 'warning',
      }),
    ];
  });
}

/** Shown to whoever asks for a name that it has no certificate for. */
const ownDefault = 'TRAEFIK DEFAULT CERT';
/** Where the beginning is not told: the life that Let's Encrypt gives. */
const usualLifeMs = 90 * 86_400_000;

/** The route came with 3.7; before, and where it is refused, the certificates are seen from outside. */
function certificatesOf(
  answer: ApiAnswer<z.output<typeof Certificates>>,
  { ignore, now }: { ignore: readonly string[]; now: number },
): Observation[] {
  const said = { condition: 'certificate-expiring', resource: 'certificates' };
  if (answer.is === 'refused') return [];
  if (answer.is !== 'value') return [unseen(said, answer.reason)];
  const named = answer.value.filter(({ commonName }) => commonName !== ownDefault && !ignore.includes(commonName));
  // Of several for one name the one that ends first: which of them is shown is up to Traefik.
  const latestFirst = named.toSorted((one, other) => Date.parse(other.notAfter) - Date.parse(one.notAfter));
  const byName = new Map(latestFirst.map((one) => [one.commonName || one.sans?.[0] || 'without a name', one]));
  const summary = `looked at ${counted(answer.value.length, 'certificate')}`;
  return [
    state({ ...said, summary, ok: true, severity: 'critical' }),
    ...[...byName].slice(0, 200).flatMap(([name, { notBefore, notAfter }]) => {
      const end = Date.parse(notAfter);
      if (!Number.isFinite(end)) return [unseen({ ...said, resource: name }, `its end is no time: "${notAfter}"`)];
      const chain = [
        { name, notBefore: Date.parse(notBefore ?? '') || end - usualLifeMs, notAfter: end, fingerprint: '' },
      ];
      const labels = { domain: name.slice(0, 200) };
      return observeLifetime(chain, { resource: name, now }).map((observation) => ({ ...observation, labels }));
    }),
  ];
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const headers = headersOf(options, context);
  if (typeof headers === 'string') return [];
  const api = createApi(options, context);
  const routers = await listed(api, Routers, { path: '/api/http/routers', headers });
  const services = await listed(api, Services, { path: '/api/http/services', headers });
  const errors = (things: readonly Thing[]): string[] =>
    things.flatMap(({ name, error }) => (error ?? []).map((text) => `${name}: ${text}`));
  const servers = services.is === 'value' ? services.value : [];
  const down = servers.flatMap(({ name, serverStatus }) =>
    Object.entries(serverStatus ?? {}).flatMap(([server, status]) =>
      status === 'UP' ? [] : [`${name}: ${server} ${status}`],
    ),
  );
  return [
    ...evidenceOf('state', 'Errors of routers', routers.is === 'value' ? errors(routers.value) : []),
    ...evidenceOf('state', 'Errors of services', errors(servers)),
    ...evidenceOf('state', 'Servers that are not up', down),
  ];
}
