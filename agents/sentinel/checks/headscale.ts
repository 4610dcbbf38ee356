import { z } from 'zod';
import { durationOr, formatDuration } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Api, apiOptions, createApi, presence, secretHeaders } from '#agents/sentinel/probes/api.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  token: SecretRef.optional().describe('API key; with it nodes, their routes and the expiry of keys are watched.'),
  expectOnline: z
    .array(z.string().max(100))
    .max(500)
    .default([])
    .describe('Names of nodes that have to be online. Others may come and go.'),
  offlineAfter: durationOr('15m').describe('How long such a node may be offline.'),
});
type Options = z.output<typeof Options>;

/** `GET /api/v1/node` and `/api/v1/apikey` of Headscale 0.26 to 0.30. An expiry of null or of year 1 means never. */
const Nodes = z.object({
  nodes: z.array(
    z.object({
      name: z.string(),
      givenName: z.string().default(''),
      online: z.boolean().default(false),
      lastSeen: z.string().nullish(),
      expiry: z.string().nullish(),
      approvedRoutes: z.array(z.string()).default([]),
      availableRoutes: z.array(z.string()).default([]),
    }),
  ),
});
type Node = z.output<typeof Nodes>['nodes'][number];
const Keys = z.object({ apiKeys: z.array(z.object({ prefix: z.string(), expiration: z.string().nullish() })) });

const dayMs = 86_400_000;
const warningDays = 7;
const criticalDays = 1;

export const check = defineCheck({
  kind: 'headscale',
  about: 'Whether Headscale and its database are well; nodes that must be online, routes not approved, keys that end.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'headscale',
  observe,
  evidence: { about: 'all nodes with when they were last seen, and their routes', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const health = await api.json(z.object({ status: z.string() }), { path: '/health' });
  const there = presence(health, { condition: 'headscale-down', resource: 'headscale', name: 'Headscale' });
  if (health.is !== 'value' || options.token === undefined) return [there];
  const said = { condition: 'headscale-node-offline', resource: 'nodes', hidesRest: true };
  const headers = secretHeaders(options.token, context);
  if (typeof headers === 'string') return [there, unseen(said, headers)];
  const nodes = await api.json(Nodes, { path: '/api/v1/node', headers });
  const inside = nodes.is === 'value' ? judge(nodes.value.nodes, { options, context }) : [unseen(said, nodes.reason)];
  return [there, ...inside, ...(await lookAtKeys(api, headers, context))];
}

function nameOf({ givenName, name }: Node): string {
  return givenName === '' ? name : givenName;
}

function judge(
  nodes: readonly Node[],
  { options, context }: { options: Options; context: CheckContext },
): Observation[] {
  const online = nodes.filter((node) => node.online).length;
  const summary = `${online} of ${counted(nodes.length, 'node')} online`;
  const byName = new Map(nodes.flatMap((node) => [[node.name, node] as const, [nameOf(node), node] as const]));
  return [
    state({ condition: 'headscale-node-offline', resource: 'nodes', summary, ok: true, severity: 'warning' }),
    ...options.expectOnline.map((name) => expected(name, byName.get(name), options.offlineAfter)),
    ...nodes.slice(0, 500).flatMap((node) => [...expiryOf(node, context.clock.now()), ...routesOf(node)]),
  ];
}

function expected(name: string, node: Node | undefined, holdMs: number): Observation {
  const said = { condition: 'headscale-node-offline', resource: name, labels: { node: name }, holdMs };
  const words = node === undefined ? 'is not registered' : node.online ? 'is online' : 'is offline';
  return state({ ...said, summary: `node ${name} ${words}`, ok: node?.online === true, severity: 'warning' });
}

/** The end of a key: nodes that never end are not told. */
function expiryOf(node: Node, now: number): Observation[] {
  const at = Date.parse(node.expiry ?? '');
  if (!Number.isFinite(at) || at <= 0) return [];
  return [
    endOf(
      { condition: 'headscale-node-expiring', resource: nameOf(node), what: `key of node ${nameOf(node)}`, at },
      now,
    ),
  ];
}

function endOf(of: { condition: string; resource: string; what: string; at: number }, now: number): Observation {
  const left = of.at - now;
  const span = formatDuration(Math.floor(Math.abs(left) / 60_000) * 60_000);
  return level({
    condition: of.condition,
    resource: of.resource,
    summary: left < 0 ? `the ${of.what} ended ${span} ago` : `the ${of.what} ends in ${span}`,
    value: left / dayMs,
    unit: 'd',
    bad: 'below',
    warning: warningDays,
    critical: criticalDays,
    holdMs: 0,
  });
}

function routesOf(node: Node): Observation[] {
  if (node.availableRoutes.length === 0) return [];
  const waiting = node.availableRoutes.filter((route) => !node.approvedRoutes.includes(route));
  const summary =
    waiting.length === 0
      ? `all routes of ${nameOf(node)} are approved`
      : `node ${nameOf(node)} offers routes that nobody approved: ${waiting.join(', ')}`;
  const said = { condition: 'headscale-route-unapproved', resource: nameOf(node), summary };
  return [state({ ...said, ok: waiting.length === 0, severity: 'info' })];
}

/** The key in use is among them, known by its first characters only. */
async function lookAtKeys(api: Api, headers: Record<string, string>, context: CheckContext): Promise<Observation[]> {
  const condition = 'headscale-key-expiring';
  const keys = await api.json(Keys, { path: '/api/v1/apikey', headers });
  if (keys.is !== 'value') return [unseen({ condition, resource: 'API keys' }, keys.reason)];
  const own = headers['authorization']?.slice('Bearer '.length) ?? '';
  return keys.value.apiKeys
    .filter(({ prefix }) => prefix !== '' && own.includes(prefix))
    .flatMap(({ prefix, expiration }) => {
      const at = Date.parse(expiration ?? '');
      if (!Number.isFinite(at) || at <= 0) return [];
      return [
        endOf(
          { condition, resource: `API key ${prefix}`, what: `API key ${prefix} that Lares uses`, at },
          context.clock.now(),
        ),
      ];
    });
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const headers = secretHeaders(options.token, context);
  if (typeof headers === 'string' || options.token === undefined) return [];
  const nodes = await createApi(options, context).json(Nodes, { path: '/api/v1/node', headers });
  if (nodes.is !== 'value') return [];
  const lines = nodes.value.nodes.map((node) => {
    const routes = node.availableRoutes.length === 0 ? '' : `, routes ${node.availableRoutes.join(' ')}`;
    return `${nameOf(node)}: ${node.online ? 'online' : `last seen ${node.lastSeen ?? 'never'}`}${routes}`;
  });
  return evidenceOf('state', 'Nodes', lines);
}
