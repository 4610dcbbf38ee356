import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import type { Severity } from '#bus/fields.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { apiOptions, basicHeaders, createApi, presence, secretHeaders } from '#agents/sentinel/probes/api.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { spans } from '#agents/sentinel/probes/levels-option.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  tokenKey: z.string().min(1).max(200).optional().describe('Key of an API credential (type `api`, not `gethomepage`).'),
  tokenSecret: SecretRef.optional().describe('Secret of that credential; with it the hosts are watched.'),
  groups: z.array(z.string().min(1).max(100)).max(50).default([]).describe('Host groups to look at. None: all hosts.'),
  ignore: z.array(z.string().max(200)).max(200).default([]).describe('Hosts to leave out; `*` stands for any text.'),
  security: spans({ warning: '3d', critical: '14d' })
    .prefault({})
    .describe('Age of pending security updates; younger ones are information.'),
});
type Options = z.output<typeof Options>;

/** `GET /api/v1/api/hosts?include=stats` of PatchMon 2026. */
const Hosts = z.object({
  hosts: z.array(
    z.object({
      id: z.coerce.string(),
      friendly_name: z.string().nullish(),
      hostname: z.string().nullish(),
      last_update: z.string().nullish(),
      reporting_state: z.string().nullish(),
      updates_count: z.number().nullish(),
      security_updates_count: z.number().nullish(),
      needs_reboot: z.boolean().nullish(),
    }),
  ),
});
type Host = z.output<typeof Hosts>['hosts'][number];

const Packages = z.object({
  packages: z.array(
    z.object({
      name: z.string(),
      current_version: z.string().nullish(),
      available_version: z.string().nullish(),
      is_security_update: z.boolean().nullish(),
    }),
  ),
});

const dayMs = 86_400_000;
const maximumHosts = 200;

export const check = defineCheck({
  kind: 'patchmon',
  about:
    'PatchMon: whether it answers, hosts with security updates that wait, that need a reboot, or whose agent is silent.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'patchmon',
  observe,
  evidence: { about: 'the packages of the host that wait', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  // 503 when its database or Redis is down.
  const health = await api.text({ path: '/health' });
  const there = presence(health, { condition: 'patchmon-down', resource: 'patchmon', name: 'PatchMon' });
  if (health.is !== 'value' || options.tokenSecret === undefined) return [there];
  const said = { condition: 'security-updates', resource: 'hosts' };
  const blind = { ...said, hidesRest: true };
  const headers = headersOf(options, context);
  if (typeof headers === 'string') return [there, unseen(blind, headers)];
  const query = { include: 'stats', ...(options.groups.length > 0 && { hostgroup: options.groups.join(',') }) };
  const hosts = await api.json(Hosts, { path: '/api/v1/api/hosts', query, headers });
  if (hosts.is !== 'value') return [there, unseen(blind, hosts.reason)];
  if (hosts.value.hosts.length === 0) return [there, unseen(blind, 'it shows no host to this credential')];
  const watched = named(hosts.value.hosts).filter(({ name }) => !matchesAny(name, options.ignore));
  const firstSeen = remembered(watched, context);
  const summary = `PatchMon knows ${counted(watched.length, 'host')}`;
  return [
    there,
    state({ ...said, summary, ok: true, severity: 'warning' }),
    ...watched.flatMap((host) => judge(host, { options, firstSeen, now: context.clock.now() })),
  ];
}

function headersOf(options: Options, context: CheckContext): Record<string, string> | string {
  if (options.tokenSecret === undefined || options.tokenKey === undefined) return 'no key of a credential is given';
  const { tokenKey } = options;
  return secretHeaders(options.tokenSecret, context, (secret) => basicHeaders(tokenKey, secret));
}

type Named = Host & { name: string };

/** Two hosts may have one name: then their ids tell them apart. */
function named(hosts: readonly Host[]): Named[] {
  const nameOf = (host: Host): string => oneLine(host.friendly_name || host.hostname || host.id, 150);
  const names = Map.groupBy(hosts, nameOf);
  return [...new Map(hosts.map((host) => [host.id, host])).values()].slice(0, maximumHosts).map((host) => {
    const name = nameOf(host);
    return { ...host, name: (names.get(name) ?? []).length > 1 ? `${name} ${host.id}` : name };
  });
}

/** Since when each host has had security updates to install, by own memory: PatchMon does not tell. */
function remembered(hosts: readonly Named[], context: CheckContext): Record<string, number> {
  const before = z.record(z.string(), z.number()).safeParse(context.memory.get('pending'));
  const known = before.success ? before.data : {};
  const pending = hosts.filter((host) => (host.security_updates_count ?? 0) > 0);
  const firstSeen = Object.fromEntries(pending.map(({ id }) => [id, known[id] ?? context.clock.now()]));
  remember(context.memory, 'pending', firstSeen);
  return firstSeen;
}

interface Of {
  options: Options;
  firstSeen: Readonly<Record<string, number>>;
  now: number;
}

function judge(host: Named, of: Of): Observation[] {
  const { name, id } = host;
  const said = { resource: name, labels: { machine: name, id: id.slice(0, 100) }, holdMs: 0 };
  const reporting = host.reporting_state ?? 'reporting';
  const silent = state({
    ...said,
    condition: 'host-not-reporting',
    summary: `the agent of ${name} is ${oneLine(reporting, 30)}, its last report came at ${oneLine(host.last_update ?? 'an unknown time', 40)}`,
    ok: reporting === 'reporting',
    severity: reporting === 'stale' ? 'critical' : 'warning',
  });
  const needsReboot = host.needs_reboot === true;
  const reboot = state({
    ...said,
    condition: 'reboot-required',
    summary: `${name} ${needsReboot ? 'needs a reboot' : 'needs no reboot'}`,
    ok: !needsReboot,
    severity: 'warning',
  });
  return [silent, securityOf(host, said, of), reboot];
}

type Said = Pick<Observation, 'resource'> & { labels: Record<string, string>; holdMs: number };

function securityOf(host: Named, said: Said, { options, firstSeen, now }: Of): Observation {
  const count = host.security_updates_count ?? 0;
  const ageMs = now - (firstSeen[host.id] ?? now);
  const severity: Severity =
    ageMs >= options.security.critical ? 'critical' : ageMs >= options.security.warning ? 'warning' : 'info';
  const days = Math.floor(ageMs / dayMs);
  const others = Math.max(0, (host.updates_count ?? 0) - count);
  return state({
    ...said,
    condition: 'security-updates',
    summary: `${host.name} waits for ${counted(count, 'security update')}${days > 0 ? ` for ${counted(days, 'day')}` : ''} and ${counted(others, 'other')}`,
    ok: count === 0,
    severity,
  });
}

async function gather(options: Options, context: CheckContext, { labels, resource }: Observation): Promise<Evidence[]> {
  const id = labels?.['id'] ?? '';
  const headers = headersOf(options, context);
  if (typeof headers === 'string' || id === '') return [];
  const path = `/api/v1/api/hosts/${encodeURIComponent(id)}/packages`;
  const query = { updates_only: true };
  const answer = await createApi(options, context).json(Packages, { path, query, headers });
  if (answer.is !== 'value') return [];
  const sorted = answer.value.packages.toSorted((a, b) => Number(a.is_security_update) - Number(b.is_security_update));
  const lines = sorted.map((one) => {
    const sort = one.is_security_update === true ? 'security ' : '';
    return `${sort}${one.name} ${one.current_version ?? '-'} to ${one.available_version ?? '-'}`;
  });
  return evidenceOf('state', `Packages of ${resource} that wait`, lines);
}
