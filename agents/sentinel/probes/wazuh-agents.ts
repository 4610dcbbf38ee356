import { z } from 'zod';
import { formatDuration } from '#config/duration.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { answered, type ApiAnswer } from './api.ts';
import { matchesAny } from './glob.ts';
import { state, unseen } from './reading.ts';
import { counted, oneLine } from './text.ts';
import type { Wazuh } from './wazuh-api.ts';

const dayMs = 86_400_000;

interface Wishes {
  disconnectedAfter: number;
  ignoreAgents: readonly string[];
}

const Summary = z.object({
  connection: z.object({ active: z.number(), total: z.number(), never_connected: z.number().default(0) }),
});
const Agents = z.object({
  id: z.string(),
  name: z.string(),
  ip: z.string().nullish(),
  lastKeepAlive: z.string().nullish(),
});

/** Agents that report, those that are silent, and those that were registered and never came. */
export async function lookAtAgents(wazuh: Wazuh, options: Wishes): Promise<Observation[]> {
  const summary = await wazuh.data(Summary, { path: '/agents/summary/status' });
  const said = { condition: 'wazuh-agents-inactive', resource: 'agents' };
  if (summary.is !== 'value') return [unseen({ ...said, hidesRest: true }, summary.reason)];
  const { never_connected: never } = summary.value.connection;
  const manager = await countedManager(wazuh, summary.value.connection);
  if (manager.is !== 'value') return [unseen({ ...said, hidesRest: true }, manager.reason)];
  const [active, total] = [
    summary.value.connection.active - manager.value,
    summary.value.connection.total - manager.value,
  ];
  // Its roles filter: who may see no agent gets zeros and no refusal.
  if (total === 0) return [unseen({ ...said, hidesRest: true }, 'it shows no agent to this user')];
  // So it was when the manager was removed underneath its own running process: everything answered, nobody was there.
  const all = state({
    ...said,
    summary: `${active} of ${counted(total, 'agent')} report`,
    ok: active > 0 || total <= 1,
    severity: 'critical',
  });
  const awaited = state({
    condition: 'wazuh-agent-never-connected',
    resource: 'agents',
    holdMs: dayMs,
    summary: `${counted(never, 'agent')} registered and never heard of`,
    ok: never === 0,
    severity: 'info',
  });
  return [all, awaited, ...(await lookAtSilent(wazuh, options))];
}

/** Some versions count the manager among its agents, as 000 and always active: it alone must not look like one that reports. */
async function countedManager(wazuh: Wazuh, { active }: { active: number }): Promise<ApiAnswer<number>> {
  if (active !== 1) return answered(0);
  const query = { status: 'active', select: 'id', limit: 2 };
  const found = await wazuh.items(z.object({ id: z.string() }), { path: '/agents', query });
  return found.is === 'value' ? answered(found.value.filter(({ id }) => id === '000').length) : found;
}

async function lookAtSilent(wazuh: Wazuh, options: Wishes): Promise<Observation[]> {
  const silent = await wazuh.items(Agents, {
    path: '/agents',
    query: {
      status: 'disconnected',
      older_than: `${Math.ceil(options.disconnectedAfter / 60_000)}m`,
      select: 'id,name,ip,lastKeepAlive',
      limit: 500,
    },
  });
  const condition = 'wazuh-agent-disconnected';
  if (silent.is !== 'value') return [unseen({ condition, resource: 'agents' }, silent.reason)];
  const told = silent.value.filter(({ id, name }) => id !== '000' && !matchesAny(name, options.ignoreAgents));
  const span = formatDuration(options.disconnectedAfter);
  const count = `${counted(told.length, 'agent')} silent for more than ${span}`;
  return [
    state({ condition, resource: 'agents', summary: count, ok: true, severity: 'warning' }),
    ...told.slice(0, 200).map(({ id, name, ip, lastKeepAlive }) =>
      state({
        condition,
        // Names of agents may be there twice, ids are not.
        resource: `${id} ${name}`,
        labels: { agent: id.slice(0, 20), name: name.slice(0, 200) },
        holdMs: 0,
        summary: `the agent ${name}${ip ? ` (${ip})` : ''} reports no more, the last time at ${lastKeepAlive ?? 'an unknown time'}`,
        ok: false,
        severity: 'warning',
      }),
    ),
  ];
}

const Outdated = z.object({ id: z.string(), name: z.string(), version: z.string().default('') });

/** Agents older than their manager. */
export async function lookAtVersions(wazuh: Wazuh, { ignoreAgents }: Wishes): Promise<Observation> {
  const said = { condition: 'wazuh-agents-outdated', resource: 'agents' };
  const answer = await wazuh.items(Outdated, { path: '/agents/outdated', query: { limit: 500 } });
  if (answer.is !== 'value') return unseen(said, answer.reason);
  const old = answer.value.filter(({ name }) => !matchesAny(name, ignoreAgents));
  const names = old.slice(0, 5).map(({ name, version }) => oneLine(`${name} (${version})`, 80));
  const more = old.length > names.length ? ` and ${old.length - names.length} more` : '';
  const which = old.length === 0 ? '' : `: ${names.join(', ')}${more}`;
  const summary = `${counted(old.length, 'agent')} older than the manager${which}`;
  return state({ ...said, holdMs: 0, summary, ok: old.length === 0, severity: 'info' });
}
