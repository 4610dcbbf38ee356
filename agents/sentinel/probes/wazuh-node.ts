import { z } from 'zod';
import { formatDuration } from '#config/duration.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import type { ApiAnswer } from './api.ts';
import { state, unseen } from './reading.ts';
import { remember } from './remembered.ts';
import { counted, oneLine } from './text.ts';
import type { Wazuh } from './wazuh-api.ts';

/** Without these no alert is made. The others (maild, agentlessd, csyslogd...) are off in most houses. */
const required = ['analysisd', 'remoted', 'authd', 'db', 'modulesd', 'apid', 'syscheckd', 'logcollector'];
const maximumNodes = 20;

/** One manager, by the path of its routes. */
interface WazuhNode {
  name: string;
  path: string;
  isCluster: boolean;
}

/** The manager, or each node of its cluster. Version 5 has the routes of clusters only. */
export async function nodesOf(wazuh: Wazuh, major: number): Promise<ApiAnswer<WazuhNode[]>> {
  const alone = { name: 'manager', path: '/manager', isCluster: false };
  const status = await wazuh.data(z.object({ enabled: z.string(), running: z.string() }), { path: '/cluster/status' });
  const isCluster = major >= 5 || (status.is === 'value' && status.value.enabled === 'yes');
  if (!isCluster) return { is: 'value', value: [alone], status: 200, headers: {}, ms: 0 };
  const nodes = await wazuh.items(z.object({ name: z.string() }), { path: '/cluster/nodes' });
  if (nodes.is !== 'value') return nodes;
  const named = nodes.value.slice(0, maximumNodes).map(({ name }) => {
    return { name, path: `/cluster/${encodeURIComponent(name)}`, isCluster: true };
  });
  return { ...nodes, value: named };
}

/** A node that is missing for so long was taken out. */
const forgottenMs = 7 * 86_400_000;
const LastSeen = z.record(z.string(), z.number());

/** A cluster lists only the nodes that are connected: one that crashed is not there any more, and nothing of it is bad. */
export function lostNodes(nodes: readonly WazuhNode[], { clock, memory }: CheckContext): Observation[] {
  const now = clock.now();
  const before = LastSeen.safeParse(memory.get('nodes'));
  const names = nodes.filter(({ isCluster }) => isCluster).map(({ name }) => name);
  const seen = { ...(before.success ? before.data : {}), ...Object.fromEntries(names.map((name) => [name, now])) };
  const kept = Object.entries(seen).filter(([, at]) => now - at < forgottenMs);
  remember(memory, 'nodes', Object.fromEntries(kept.slice(0, maximumNodes * 2)));
  return kept.map(([name, at]) => {
    const isThere = at === now;
    const since = formatDuration(Math.floor((now - at) / 60_000) * 60_000);
    return state({
      condition: 'wazuh-node-lost',
      resource: name,
      labels: { node: name.slice(0, 200) },
      summary: isThere ? `${name} is in its cluster` : `${name} left its cluster, it was last seen ${since} ago`,
      ok: isThere,
      severity: 'critical',
    });
  });
}

/** Daemons that have to run, one observation each. */
export async function lookAtDaemons(wazuh: Wazuh, node: WazuhNode): Promise<Observation[]> {
  const condition = 'wazuh-daemon-stopped';
  const answer = await wazuh.items(z.record(z.string(), z.string()), { path: `${node.path}/status` });
  if (answer.is !== 'value') return [unseen({ condition, resource: node.name }, answer.reason)];
  const [states = {}] = answer.value;
  const wanted = node.isCluster ? [...required, 'clusterd'] : required;
  return wanted.map((name) => {
    const daemon = `wazuh-${name}`;
    const is = oneLine(states[daemon] ?? 'not there', 40);
    return state({
      condition,
      resource: node.isCluster ? `${node.name}/${daemon}` : daemon,
      labels: { daemon, node: node.name.slice(0, 200) },
      summary: `${daemon} is ${is}`,
      ok: is === 'running',
      severity: 'critical',
    });
  });
}

const LogLine = z.object({
  timestamp: z.string(),
  tag: z.string().default(''),
  level: z.string().default(''),
  description: z.string().default(''),
});
type LogLine = z.output<typeof LogLine>;

/** The manager's own errors, newest first. */
export async function errorsOf(wazuh: Wazuh, node: WazuhNode): Promise<ApiAnswer<LogLine[]>> {
  const call = (level: string) => ({
    path: `${node.path}/logs`,
    query: { level, limit: 100, sort: '-timestamp' },
  });
  const [errors, critical] = await Promise.all([
    wazuh.items(LogLine, call('error')),
    wazuh.items(LogLine, call('critical')),
  ]);
  if (errors.is !== 'value' || critical.is !== 'value') return errors.is === 'value' ? critical : errors;
  const all = [...errors.value, ...critical.value];
  return { ...errors, value: all.toSorted((a, b) => b.timestamp.localeCompare(a.timestamp)) };
}

export async function lookAtErrors(
  wazuh: Wazuh,
  node: WazuhNode,
  of: { now: number; spanMs: number },
): Promise<Observation> {
  const said = { condition: 'wazuh-manager-errors', resource: node.name };
  const errors = await errorsOf(wazuh, node);
  if (errors.is !== 'value') return unseen(said, errors.reason);
  const recent = errors.value.filter(({ timestamp }) => Date.parse(timestamp) >= of.now - of.spanMs);
  const [last] = recent;
  const words = last === undefined ? '' : `, the last by ${oneLine(last.tag, 60)}: ${oneLine(last.description, 200)}`;
  const span = formatDuration(Math.ceil(of.spanMs / 60_000) * 60_000);
  const summary = `${counted(recent.length, 'error')} of ${node.name} in ${span}${words}`;
  return state({ ...said, holdMs: 0, summary, ok: recent.length === 0, severity: 'warning' });
}
