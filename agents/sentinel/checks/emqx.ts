import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { SecretRef } from '#config/schema.ts';
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
import { ratesOf } from '#agents/sentinel/probes/counter-rate.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { restartedSince } from '#agents/sentinel/probes/uptime-drop.ts';
import { counted, evidenceOf, oneLine, resourceName } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  tokenKey: z.string().min(1).max(200).describe('API key, made in the dashboard below "API Key"; a viewer is enough.'),
  tokenSecret: SecretRef.describe('Secret of the API key.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'emqx',
  about: 'An EMQX 5 broker by its API: its nodes, its own alarms, restarts and messages that it drops.',
  options: Options,
  reach: 'network',
  resourceOf: brokerOf,
  observe,
  evidence: { about: 'the nodes and the alarms that are active', gather },
});

const maximumAlarms = 100;

const Node = z.object({
  node: z.string(),
  /** `running` or `stopped`. */
  node_status: z.string(),
  version: z.string().optional(),
  /** Milliseconds. */
  uptime: z.number().optional(),
  connections: z.number().optional(),
});
const Alarms = z.object({
  data: z.array(
    z.object({
      node: z.string().default(''),
      name: z.string(),
      message: z.string().default(''),
      activate_at: z.string().optional(),
    }),
  ),
});
type Alarm = z.output<typeof Alarms>['data'][number];
const Metrics = z.array(z.object({ 'messages.dropped': z.number().optional() }));

function brokerOf({ url }: Options): string {
  return resourceName(new URL(url).host);
}

function headersOf({ tokenKey, tokenSecret }: Options, context: CheckContext): Record<string, string> | string {
  return secretHeaders(tokenSecret, context, (secret) => basicHeaders(tokenKey, secret));
}

interface Asked {
  nodes: ApiAnswer<z.output<typeof Node>[]>;
  alarms: ApiAnswer<z.output<typeof Alarms>>;
  metrics: ApiAnswer<z.output<typeof Metrics>>;
}

async function ask(api: Api, headers: Record<string, string>): Promise<Asked> {
  const nodes = await api.json(z.array(Node), { path: '/api/v5/nodes', headers });
  if (nodes.is !== 'value') return { nodes, alarms: nodes, metrics: nodes };
  const query = { activated: true, limit: maximumAlarms, page: 1 };
  const [alarms, metrics] = await Promise.all([
    api.json(Alarms, { path: '/api/v5/alarms', query, headers }),
    api.json(Metrics, { path: '/api/v5/metrics', headers }),
  ]);
  return { nodes, alarms, metrics };
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const resource = brokerOf(options);
  const down = { condition: 'broker-down', resource };
  const headers = headersOf(options, context);
  if (typeof headers === 'string') return [unseen(down, headers)];
  const { nodes, alarms, metrics } = await ask(createApi(options, context), headers);
  const there = presence(nodes, { ...down, name: `EMQX at ${resource}` });
  if (nodes.is !== 'value') return [there];
  return [
    there,
    ...uniqueNodes(nodes.value).flatMap((node) => observeNode(node, context)),
    ...observeAlarms(alarms, resource),
    observeDropped(metrics, resource, context),
  ];
}

function uniqueNodes(nodes: readonly z.output<typeof Node>[]): z.output<typeof Node>[] {
  return [...new Map(nodes.slice(0, 100).map((node) => [resourceName(node.node), node])).values()];
}

function observeNode(node: z.output<typeof Node>, context: CheckContext): Observation[] {
  const resource = resourceName(node.node);
  const labels = { node: resource };
  const isRunning = node.node_status === 'running';
  const running = state({
    condition: 'broker-node-down',
    resource,
    labels,
    summary: isRunning
      ? `node ${resource} runs with ${counted(node.connections ?? 0, 'connection')}`
      : `node ${resource} is ${oneLine(node.node_status, 40)}`,
    ok: isRunning,
    severity: 'critical',
  });
  if (!isRunning || node.uptime === undefined) return [running];
  const restarted = restartedSince({ key: `uptime ${resource}`, uptimeMs: node.uptime }, context);
  return [
    running,
    state({
      condition: 'broker-restarted',
      resource,
      labels,
      summary: restarted ? `node ${resource} was started again` : `node ${resource} has run on`,
      ok: !restarted,
      severity: 'info',
      holdMs: 0,
    }),
  ];
}

function observeAlarms(answer: Asked['alarms'], resource: string): Observation[] {
  const said = { condition: 'broker-alarm', resource };
  if (answer.is !== 'value') return [unseen(said, answer.reason)];
  const alarms = new Map(answer.value.data.slice(0, maximumAlarms).map((alarm) => [alarmName(alarm), alarm]));
  const count = counted(alarms.size, 'alarm');
  return [
    state({ ...said, summary: `EMQX has ${count} of its own`, ok: true, severity: 'warning' }),
    ...[...alarms].map(([name, alarm]) =>
      state({
        condition: 'broker-alarm',
        resource: name,
        labels: { alarm: oneLine(alarm.name, 200), node: oneLine(alarm.node, 200) },
        summary: `EMQX raises ${alarm.name}: ${alarm.message}`,
        ok: false,
        severity: 'warning',
      }),
    ),
  ];
}

function alarmName({ name, node }: Alarm): string {
  return resourceName(node === '' ? name : `${name} @${node}`);
}

/** Without `aggregate` the numbers come node by node. */
function observeDropped(answer: Asked['metrics'], resource: string, context: CheckContext): Observation {
  const said = { condition: 'messages-dropped', resource };
  if (answer.is !== 'value') return unseen(said, answer.reason);
  const dropped = answer.value.reduce((sum, metrics) => sum + (metrics['messages.dropped'] ?? 0), 0);
  const rate = ratesOf({ key: 'dropped', counters: new Map([['dropped', dropped]]) }, context).get('dropped') ?? 0;
  return state({
    ...said,
    // A message that nobody subscribes to counts as dropped too: it is information, not a fault.
    summary: rate > 0 ? `the broker drops ${rate.toFixed(2)} messages a second` : 'the broker drops no messages',
    ok: rate === 0,
    severity: 'info',
  });
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const headers = headersOf(options, context);
  if (typeof headers === 'string') return [];
  const { nodes, alarms } = await ask(createApi(options, context), headers);
  const nodeLines = nodes.is !== 'value' ? [] : nodes.value;
  const alarmLines = alarms.is !== 'value' ? [] : alarms.value.data;
  return [
    ...evidenceOf(
      'state',
      'Nodes',
      nodeLines.map((one) => `${one.node}: ${one.node_status}, version ${one.version ?? 'unknown'}`),
    ),
    ...evidenceOf(
      'state',
      'Alarms that are active',
      alarmLines.map((one) => `${one.activate_at ?? ''} ${one.name}: ${one.message}`),
    ),
  ];
}
