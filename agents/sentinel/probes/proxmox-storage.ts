import type { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import { fewAtOnce } from './few-at-once.ts';
import { type Blind, blindNodes, callsAtOnce, onlineNodes, type ProxmoxLook, type Seen } from './proxmox-look.ts';
import { NodeStorages, type Resource } from './proxmox-shapes.ts';
import { asleep, level, state } from './reading.ts';
import { formatBytes } from './text.ts';

/** A backup store fills slowly and prunes itself: its warning comes earlier. */
const backupStoreWarning = 80;

interface StorageState {
  resource: Resource;
  /** `unconfirmed`: the list of all resources does not know it, and its node has not been asked. */
  is: 'active' | 'inactive' | 'disabled' | 'unconfirmed';
  used: number | undefined;
  total: number | undefined;
}

/** Storages that are not active where they should be, and those that fill up. A shared one counts once. */
export async function observeStorage(look: ProxmoxLook): Promise<Seen> {
  const online = new Set(onlineNodes(look).map(({ name }) => name));
  const listed = look.storages.filter(({ node }) => online.has(node)).map(fromList);
  // What the status daemon has not reported for minutes: its node says whether the storage or the daemon is at fault.
  const doubtful = [...new Set(listed.filter(({ is }) => is === 'unconfirmed').map(({ resource }) => resource.node))];
  const answers = await fewAtOnce(doubtful, callsAtOnce, async (node) => ({
    node,
    answer: await look.api.get(NodeStorages, `/nodes/${node}/storage`),
  }));
  const byNode = new Map(answers.map(({ node, answer }) => [node, answer]));
  const blind: Blind[] = blindNodes(look);
  const states = listed.flatMap((storage) => {
    const answer = byNode.get(storage.resource.node);
    if (storage.is !== 'unconfirmed' || answer === undefined) return [storage];
    if (answer.is === 'value') return confirmed(storage, answer.value);
    blind.push({ resource: `${storage.resource.node} storages`, reason: answer.reason });
    return [];
  });
  return { observations: grouped(states).flatMap((group) => conditionsOf(group, look)), blind: onceByResource(blind) };
}

function onceByResource(blind: readonly Blind[]): Blind[] {
  return [...new Map(blind.map((one) => [one.resource, one])).values()];
}

function fromList(resource: Resource): StorageState {
  const is = resource.status === 'available' ? 'active' : 'unconfirmed';
  return { resource, is, used: resource.disk, total: resource.maxdisk };
}

function confirmed({ resource }: StorageState, storages: z.output<typeof NodeStorages>): StorageState[] {
  const found = storages.find(({ storage }) => storage === resource.storage);
  // Not configured on that node any more.
  if (found === undefined) return [];
  const is = found.active ? 'active' : found.enabled ? 'inactive' : 'disabled';
  return [{ resource, is, used: found.used, total: found.total }];
}

/** One group per shared storage, one per node for the others. */
function grouped(states: readonly StorageState[]): StorageState[][] {
  const key = ({ resource }: StorageState): string => titleOf(resource);
  return [...Map.groupBy(states, key).values()];
}

function titleOf({ storage, shared, node }: Resource): string {
  return shared ? (storage ?? '') : `${node}/${storage ?? ''}`;
}

function conditionsOf(group: readonly StorageState[], look: ProxmoxLook): Observation[] {
  const [first] = group;
  if (first === undefined) return [];
  const { resource } = first;
  const name = resource.storage ?? '';
  const title = titleOf(resource);
  const labels = { storage: name, ...(!resource.shared && { node: resource.node }) };
  const said = { condition: 'storage-inactive', resource: title, labels };
  const off = group.filter(({ is }) => is === 'inactive');
  const active = group.find(({ is }) => is === 'active');
  if (active === undefined && (off.length === 0 || look.options.onDemandStorages.includes(name))) {
    const word = off.length === 0 ? 'disabled' : 'inactive';
    return [asleep({ ...said, summary: `storage ${title} is ${word}, which it may` }, `the storage is ${word}`)];
  }
  const where = off.map(({ resource: { node } }) => node).join(', ');
  const isOn = off.length === 0;
  const summary = isOn ? `storage ${title} is active` : `storage ${title} is enabled but not active on ${where}`;
  return [
    state({ ...said, summary, ok: isOn, severity: 'critical' }),
    ...(active === undefined ? [] : usageOf(active, { title, labels, look })),
  ];
}

function usageOf(
  { used, total, resource }: StorageState,
  of: { title: string; labels: Record<string, string>; look: ProxmoxLook },
): Observation[] {
  if (used === undefined || total === undefined || total <= 0) return [];
  const value = (used / total) * 100;
  const { warning, critical } = of.look.options.usage;
  return [
    level({
      condition: 'storage-full',
      resource: of.title,
      labels: of.labels,
      summary: `storage ${of.title} is ${Math.round(value)} % full, ${formatBytes(Math.max(0, total - used))} free`,
      value,
      unit: '%',
      bad: 'above',
      warning: resource.plugintype === 'pbs' ? Math.min(backupStoreWarning, warning) : warning,
      critical,
    }),
  ];
}
