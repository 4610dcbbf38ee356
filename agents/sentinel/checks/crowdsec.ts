import { z } from 'zod';
import { durationOr, formatDuration } from '#config/duration.ts';
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
  secretHeaders,
} from '#agents/sentinel/probes/api.ts';
import { type Session, Sessions } from '#agents/sentinel/probes/api-session.ts';
import {
  acquisitionMetrics,
  type Acquisitions,
  type Alert,
  alertBursts,
  Alerts,
  type Decision,
  Decisions,
  isOwn,
  ownBans,
  readAcquisitions,
} from '#agents/sentinel/probes/crowdsec.ts';
import { exposedMetrics } from '#agents/sentinel/probes/exposition.ts';
import { type Network, parseNetwork } from '#agents/sentinel/probes/networks.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  bouncerKey: SecretRef.optional().describe(
    'API key of a bouncer of its own (`cscli bouncers add lares`); with it decisions are watched.',
  ),
  user: z.string().min(1).max(200).optional().describe('Name of a machine of its own (`cscli machines add lares`).'),
  password: SecretRef.optional().describe('Password of that machine; with it alerts are watched.'),
  metricsUrl: apiOptions.url
    .optional()
    .describe('Address of the metrics, such as http://127.0.0.1:6060; with it the acquisition is watched.'),
  ours: z
    .array(z.string().refine((text) => parseNetwork(text) !== undefined, 'must be an address or a network'))
    .max(20)
    .default([])
    .describe('Own addresses and networks, as 203.0.113.7 or 2001:db8::/48, which must never be banned.'),
  privateToo: z.boolean().default(true).describe('Whether private addresses (10.0.0.0/8, fc00::/7...) are own ones.'),
  burst: z.number().int().positive().default(10).describe('Alerts of one scenario, as many are a warning.'),
  within: durationOr('10m').describe('The time in which they are counted.'),
  jump: z
    .number()
    .int()
    .positive()
    .default(50)
    .describe('Local decisions more than at the last look, as many are a warning.'),
  silentAfter: durationOr('6h').describe(
    'An acquisition that read lines before and reads none for so long is stopped.',
  ),
});
type Options = z.output<typeof Options>;

const sessions = new Sessions();
/** LAPI refuses the login of whoever does not call itself NAME/VERSION. */
const agent = { 'user-agent': 'lares/1' };
/** Those of this engine and of people; the community's are ten thousands, and nobody's attack on this house. */
const localOrigins = 'crowdsec,cscli,cscli-import';

export const check = defineCheck({
  kind: 'crowdsec',
  about:
    'CrowdSec: its local API, bursts of alerts, own addresses that are banned, jumps of bans, logs it stopped reading.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'crowdsec',
  observe,
  evidence: { about: 'the last alerts and the decisions about the address', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const health = await api.json(z.object({ status: z.string() }), { path: '/health' });
  const said = { condition: 'crowdsec-down', resource: 'crowdsec' };
  const there = presence(health, { ...said, name: 'the local API of CrowdSec' });
  if (health.is !== 'value') return [there, ...(await lookAtAcquisition(options, context))];
  const { status } = health.value;
  const up =
    status === 'up'
      ? there
      : state({ ...said, summary: `CrowdSec says "${oneLine(status, 60)}"`, ok: false, severity: 'critical' });
  const found = await Promise.all([
    lookAtDecisions(api, options, context),
    lookAtAlerts(api, options, context),
    lookAtAcquisition(options, context),
  ]);
  return [up, ...found.flat()];
}

async function lookAtDecisions(api: Api, options: Options, context: CheckContext): Promise<Observation[]> {
  if (options.bouncerKey === undefined) return [];
  const blind = (reason: string): Observation[] => [
    unseen({ condition: 'own-address-banned', resource: 'own addresses', hidesRest: true }, reason),
  ];
  const headers = keyHeaders(options, context);
  if (typeof headers === 'string') return blind(headers);
  // Never /v1/decisions/stream: what it says once to a key it does not say again to the bouncer of that key.
  const local = await api.json(Decisions, { path: '/v1/decisions', query: { origins: localOrigins }, headers });
  if (local.is !== 'value') return blind(local.reason);
  const ours = options.ours.flatMap((text) => parseNetwork(text) ?? []);
  // The whole list with the community's decisions is many megabytes: these are asked for address by address.
  const asked = await Promise.all(ours.map((own) => api.json(Decisions, { ...about(own), headers })));
  const failed = asked.find((answer) => answer.is !== 'value');
  if (failed !== undefined) return blind(failed.reason);
  const near = asked.flatMap((answer) => (answer.is === 'value' ? answer.value : []));
  const all = [...local.value, ...near];
  const banned = all.filter((decision) => isOwn(decision, ours, options.privateToo));
  return [...ownBans(banned, all.length), jumpOf(local.value, options, context)];
}

/** Decisions that contain an address, or that lie within a network. */
function about({ address, bits, family }: Network): { path: string; query: Record<string, string> } {
  const isAddress = bits === (family === 'ipv4' ? 32 : 128);
  const query = isAddress ? { ip: address } : { range: `${address}/${bits}`, contains: 'false' };
  return { path: '/v1/decisions', query };
}

function keyHeaders(options: Options, context: CheckContext): Record<string, string> | string {
  return secretHeaders(options.bouncerKey, context, (key) => ({ ...agent, 'x-api-key': key }));
}

function jumpOf(local: readonly Decision[], { jump }: Options, context: CheckContext): Observation {
  const before = context.memory.get('decisions');
  remember(context.memory, 'decisions', local.length);
  const more = typeof before === 'number' ? local.length - before : 0;
  return state({
    condition: 'decisions-jump',
    resource: 'decisions',
    holdMs: 0,
    summary: `${counted(local.length, 'local decision')}${more > 0 ? `, ${more} more than at the last look` : ''}`,
    ok: more < jump,
    severity: 'warning',
  });
}

async function lookAtAlerts(api: Api, options: Options, context: CheckContext): Promise<Observation[]> {
  if (options.password === undefined) return [];
  const now = context.clock.now();
  const before = context.memory.get('lookedAt');
  const sinceLook = typeof before === 'number' && before < now ? now - before : 0;
  const spanMs = Math.min(86_400_000, Math.max(options.within, sinceLook));
  const { alerts, atLeast } = await alertsSince(api, options, { context, spanMs });
  if (alerts.is !== 'value') return [unseen({ condition: 'attack-burst', resource: 'alerts' }, alerts.reason)];
  remember(context.memory, 'lookedAt', now);
  const words = `in ${formatDuration(Math.ceil(spanMs / 60_000) * 60_000)}`;
  return alertBursts(alerts.value, { burst: options.burst, words, atLeast });
}

/** An alert brings its events along: where a hundred are more than is read, ten still tell what goes on. */
async function alertsSince(
  api: Api,
  options: Options,
  of: { context: CheckContext; spanMs: number },
): Promise<{ alerts: ApiAnswer<Alert[]>; atLeast: boolean }> {
  // Without include_capi=false the community's list comes along as alerts with ten thousands of decisions.
  const call = (limit: number) => ({
    path: '/v1/alerts',
    query: { since: `${Math.ceil(of.spanMs / 1_000)}s`, limit, include_capi: 'false' },
  });
  const login = {
    url: options.url,
    user: options.user ?? '',
    password: options.password,
    ask: (password: string) => askLogin(api, options.user ?? '', { password, context: of.context }),
  };
  const { answer, headers } = await sessions.open(login, of.context, (authorization) =>
    api.json(Alerts, { ...call(100), headers: { ...agent, ...authorization } }),
  );
  if (answer.is !== 'unreadable')
    return { alerts: answer, atLeast: answer.is === 'value' && answer.value.length >= 100 };
  const fewer = await api.json(Alerts, { ...call(10), headers: { ...agent, ...headers } });
  return { alerts: fewer, atLeast: true };
}

const Token = z.object({ token: z.string(), expire: z.string().default('') });

async function askLogin(
  api: Api,
  user: string,
  { password, context }: { password: string; context: CheckContext },
): Promise<ApiAnswer<Session>> {
  const body = { machine_id: user, password, scenarios: [] };
  const session = await api.json(Token, { method: 'POST', path: '/v1/watchers/login', headers: agent, body });
  if (session.is !== 'value') return session;
  const endsAt = Date.parse(session.value.expire);
  const lifeMs = Number.isNaN(endsAt) ? 600_000 : endsAt - context.clock.now();
  return { ...session, value: { headers: bearerHeaders(session.value.token), lifeMs } };
}

async function lookAtAcquisition(options: Options, context: CheckContext): Promise<Observation[]> {
  if (options.metricsUrl === undefined) return [];
  const said = { condition: 'acquisition-stopped', resource: 'acquisition' };
  const page = await createApi({ ...options, url: options.metricsUrl }, context).text({ path: '/metrics' });
  if (page.is === 'silent') {
    const words = { condition: 'crowdsec-metrics-down', resource: 'metrics', ok: false, severity: 'warning' as const };
    return [state({ ...words, summary: `the metrics page of CrowdSec does not answer: ${page.reason}` })];
  }
  const blind = { ...said, hidesRest: true };
  if (page.is !== 'value') return [unseen(blind, page.reason)];
  if (!/^cs_/m.test(page.value)) return [unseen(blind, 'there are no metrics of CrowdSec at this address')];
  const now = context.clock.now();
  const metrics = exposedMetrics(page.value, acquisitionMetrics);
  const { sources, parsed } = readAcquisitions(metrics, acquisitionsOf(context.memory.get('acquisitions')), now);
  remember(context.memory, 'acquisitions', sources);
  const names = Object.keys(sources);
  const active = metrics.reduce((sum, { name, value }) => (name === 'cs_active_decisions' ? sum + value : sum), 0);
  const summary = `CrowdSec reads ${counted(names.length, 'source')} and has ${counted(active, 'active decision')}`;
  return [
    state({ ...said, summary, ok: true, severity: 'warning' }),
    ...names.flatMap((name) => judgeSource(name, { sources, parsed, options, now })),
  ];
}

function acquisitionsOf(value: unknown): Acquisitions {
  const parsed = z.record(z.string(), z.object({ hits: z.number(), at: z.number() })).safeParse(value);
  return parsed.success ? parsed.data : {};
}

/** A log of which not one line in so many is understood has no parser, or the wrong label. */
const linesToJudge = 200;

function judgeSource(
  name: string,
  of: { sources: Acquisitions; parsed: ReadonlyMap<string, number>; options: Options; now: number },
): Observation[] {
  const { hits = 0, at = of.now } = of.sources[name] ?? {};
  const quietMs = Math.floor((of.now - at) / 60_000) * 60_000;
  const understood = of.parsed.get(name) ?? 0;
  const said = { resource: name, labels: { source: name }, severity: 'warning' as const };
  return [
    state({
      ...said,
      condition: 'acquisition-stopped',
      holdMs: 0,
      summary: `CrowdSec read ${counted(hits, 'line')} of ${name}${quietMs > 0 ? `, none for ${formatDuration(quietMs)}` : ''}`,
      ok: quietMs <= of.options.silentAfter,
    }),
    state({
      ...said,
      condition: 'acquisition-unparsed',
      holdMs: 0,
      summary: `CrowdSec understood ${understood} of ${counted(hits, 'line')} of ${name}`,
      ok: hits < linesToJudge || understood > 0,
    }),
  ];
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const api = createApi(options, context);
  const headers = keyHeaders(options, context);
  const own = parseNetwork(observation.labels?.['address'] ?? '');
  const evidence: Evidence[] = [];
  if (own !== undefined && options.bouncerKey !== undefined && typeof headers !== 'string') {
    const answer = await api.json(Decisions, { ...about(own), headers });
    const decisions = answer.is === 'value' ? answer.value : [];
    const lines = decisions.map((one) => `${one.origin} ${one.type} ${one.value} ${one.duration} ${one.scenario}`);
    evidence.push(...evidenceOf('state', `Decisions about ${own.address}`, lines));
  }
  if (options.password === undefined) return evidence;
  const { alerts } = await alertsSince(api, options, { context, spanMs: 86_400_000 });
  const scenario = observation.labels?.['scenario'];
  const wanted = (alerts.is === 'value' ? alerts.value : []).filter(
    (one) => (scenario ?? one.scenario) === one.scenario,
  );
  const lines = wanted.map((one) => `${one.created_at} ${one.source?.value ?? '-'} ${one.message}`);
  return [...evidence, ...evidenceOf('log', 'Alerts of CrowdSec', lines.slice(0, 30).toReversed())];
}
