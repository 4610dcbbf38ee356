import { z } from 'zod';
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
import { cloudflareResult } from '#agents/sentinel/probes/cloudflare-api.ts';
import { asksStorage, lookAtStorage, storageOptions } from '#agents/sentinel/probes/cloudflare-storage.ts';
import { lookAtRecord, outsideAddress, WantedRecord } from '#agents/sentinel/probes/cloudflare-records.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { asleep, level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, oneLine, timeText } from '#agents/sentinel/probes/text.ts';

const Options = z
  .strictObject({
    ...apiOptions,
    url: apiOptions.url.default('https://api.cloudflare.com/client/v4').describe('Address of the API.'),
    token: SecretRef.describe(
      'API token that may read the zones, and the tunnels of the account where those are watched.',
    ),
    account: z
      .string()
      .regex(/^[0-9a-f]{32}$/, 'must be 32 hexadecimal digits')
      .optional()
      .describe('Id of the account; with it its tunnels are watched. What is kept in KV and R2 needs it.'),
    accountToken: z.boolean().default(false).describe('Whether the token belongs to the account and not to a user.'),
    verifyToken: z
      .boolean()
      .default(true)
      .describe('Whether the token itself is looked at; one check of several does.'),
    tunnels: z.array(z.string().max(200)).max(100).default([]).describe('Names of tunnels that have to be there.'),
    ignoreTunnels: z
      .array(z.string().max(200))
      .max(100)
      .default([])
      .describe('Tunnels to leave out; `*` stands for any text.'),
    records: z.array(WantedRecord).max(50).default([]).describe('Records of DNS and what they have to hold.'),
    addressFrom: z
      .array(apiOptions.url)
      .max(3)
      .default([])
      .describe(
        'Services that answer with the address of whoever asks, such as https://api.ipify.org; they must agree.',
      ),
    ...storageOptions,
  })
  .refine((options) => options.account !== undefined || !asksStorage(options), {
    path: ['account'],
    error: 'must be given where values or buckets are watched',
  });
type Options = z.output<typeof Options>;

const Token = z.object({ status: z.string(), expires_on: z.string().nullish(), not_before: z.string().nullish() });
const Tunnels = z.array(
  z.object({
    id: z.string(),
    name: z.string(),
    status: z.string().default(''),
    conns_active_at: z.string().nullish(),
    connections: z.array(z.object({ colo_name: z.string().default(''), origin_ip: z.string().default('') })).nullish(),
  }),
);
type Tunnel = z.output<typeof Tunnels>[number];

const dayMs = 86_400_000;

export const check = defineCheck({
  kind: 'cloudflare',
  about:
    'Cloudflare: whether the token is good and when it ends, tunnels, records of DNS that hold what they should, values of KV and buckets of R2.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'cloudflare',
  observe,
  evidence: { about: 'the connections of the tunnels', gather },
});

type Headers = Record<string, string>;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const said = { condition: 'cloudflare-down', resource: 'cloudflare' };
  const headers = secretHeaders(options.token, context);
  if (typeof headers === 'string') return [unseen(said, headers)];
  const api = createApi(options, context);
  const { account, accountToken } = options;
  const rest = async (): Promise<Observation[]> => [
    ...(await lookAtTunnels(api, options, headers)),
    ...(await lookAtRecords(api, options, { headers, context })),
    ...(account === undefined ? [] : await lookAtStorage(api, options, { account, headers, context })),
  ];
  if (!options.verifyToken) {
    const found = await rest();
    return found.length > 0 ? found : [unseen(said, 'neither its token nor anything else is to be looked at')];
  }
  const owner = accountToken && account !== undefined ? `/accounts/${account}` : '/user';
  const token = await cloudflareResult(api, Token, { path: `${owner}/tokens/verify`, headers });
  const there = presence(token, { ...said, name: 'the API of Cloudflare' });
  if (token.is !== 'value') return refusedToken(token) ?? [there];
  return [there, ...judgeToken(token.value, context.clock.now()), ...(await rest())];
}

/** A token that is refused is what is looked for here: renewals of certificates and addresses depend on it as well. */
function refusedToken(token: ApiAnswer<unknown>): Observation[] | undefined {
  if (token.is !== 'refused' || ![400, 401, 403].includes(token.status)) return undefined;
  const said = { condition: 'cloudflare-token-invalid', resource: 'token', hidesRest: true };
  // A page of a firewall in between is no word about the token.
  if (!token.body.includes('"success"')) return undefined;
  const summary = `Cloudflare does not accept the token: ${token.reason}`;
  return [state({ ...said, summary, ok: false, severity: 'critical' })];
}

function judgeToken(
  { status, expires_on: end, not_before: start }: z.output<typeof Token>,
  now: number,
): Observation[] {
  const said = { resource: 'token', holdMs: 0 };
  const valid = state({
    ...said,
    condition: 'cloudflare-token-invalid',
    summary: `the token is ${oneLine(status, 20)}`,
    ok: status === 'active',
    severity: 'critical',
  });
  const endsAt = Date.parse(end ?? '');
  if (Number.isNaN(endsAt)) return [valid];
  const startsAt = Date.parse(start ?? '');
  const lifeDays = Number.isNaN(startsAt) ? Number.POSITIVE_INFINITY : (endsAt - startsAt) / dayMs;
  const left = (endsAt - now) / dayMs;
  const ends = level({
    ...said,
    condition: 'cloudflare-token-expiring',
    summary: `the token ends at ${timeText(endsAt)}, ${counted(Math.max(0, Math.floor(left)), 'day')} left`,
    value: Math.round(left * 10) / 10,
    unit: 'd',
    bad: 'below',
    warning: Math.min(14, lifeDays / 3),
    critical: Math.min(3, lifeDays / 10),
  });
  return [valid, ends];
}

function tunnelsOf(api: Api, account: string, headers: Headers): Promise<ApiAnswer<Tunnel[]>> {
  const query = { is_deleted: false, per_page: 100 };
  return cloudflareResult(api, Tunnels, { path: `/accounts/${account}/cfd_tunnel`, query, headers });
}

async function lookAtTunnels(api: Api, options: Options, headers: Headers): Promise<Observation[]> {
  if (options.account === undefined) return [];
  const condition = 'tunnel-down';
  const found = await tunnelsOf(api, options.account, headers);
  if (found.is !== 'value') return [unseen({ condition, resource: 'tunnels' }, found.reason)];
  const named = [...new Map(found.value.map((tunnel) => [tunnel.name, tunnel])).values()];
  const watched = named.filter(({ name }) => !matchesAny(name, options.ignoreTunnels));
  const missing = options.tunnels.filter((name) => !named.some((tunnel) => tunnel.name === name));
  const summary = `Cloudflare knows ${counted(watched.length, 'tunnel')}`;
  return [
    state({ condition, resource: 'tunnels', summary, ok: true, severity: 'critical' }),
    ...watched.map((tunnel) => judgeTunnel(tunnel, options.tunnels)),
    ...missing.map((name) => {
      const words = { condition, resource: name, labels: { tunnel: name } };
      return state({ ...words, summary: `there is no tunnel ${name}`, ok: false, severity: 'critical' });
    }),
  ];
}

function judgeTunnel({ name, status, connections }: Tunnel, wanted: readonly string[]): Observation {
  const said = { condition: 'tunnel-down', resource: name, labels: { tunnel: oneLine(name, 200) } };
  const summary = `the tunnel ${name} is ${oneLine(status, 20)}, ${counted(connections?.length ?? 0, 'connection')}`;
  // It was made and has never run.
  if (status === 'inactive' && !wanted.includes(name)) return asleep({ ...said, summary }, 'it has never run');
  const severity = status === 'degraded' ? 'warning' : 'critical';
  return state({ ...said, summary, ok: status === 'healthy', severity });
}

async function lookAtRecords(
  api: Api,
  options: Options,
  { headers, context }: { headers: Headers; context: CheckContext },
): Promise<Observation[]> {
  if (options.records.length === 0) return [];
  const isAsked = options.records.some(({ expect }) => expect === undefined);
  const address = await outsideAddress(isAsked ? options.addressFrom : [], context);
  const unique = [...new Map(options.records.map((record) => [`${record.name} ${record.type}`, record])).values()];
  const found = await Promise.all(
    unique.map((record) => lookAtRecord(api, record, { headers, address, url: options.url })),
  );
  return found.flat();
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const headers = secretHeaders(options.token, context);
  if (options.account === undefined || typeof headers === 'string') return [];
  const found = await tunnelsOf(createApi(options, context), options.account, headers);
  if (found.is !== 'value') return [];
  const only = observation.labels?.['tunnel'];
  const lines = found.value
    .filter(({ name }) => only === undefined || name === only)
    .flatMap(({ name, status, conns_active_at: since, connections }) => [
      `${name} ${status}, connected since ${since ?? '-'}`,
      ...(connections ?? []).map((one) => `${name} at ${one.colo_name} from ${one.origin_ip}`),
    ]);
  return evidenceOf('state', 'Tunnels', lines);
}
