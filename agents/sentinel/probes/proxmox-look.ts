import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import type { Labels } from '#bus/fields.ts';
import type { ApiAnswer } from './api.ts';
import type { ProxmoxApi } from './proxmox-api.ts';
import type { ProxmoxOptions, ProxmoxPart } from './proxmox-options.ts';
import type { Resource, Task } from './proxmox-shapes.ts';
import { unseen } from './reading.ts';
import { remember } from './remembered.ts';
import { oneLine } from './text.ts';

/** Calls to one cluster at a time: any node passes them on, and each takes one of its few workers. */
export const callsAtOnce = 4;

/** A call from outside the list of guests takes no path but these. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$/;

/** One look at a cluster: what was asked once, for all parts of it. */
export interface ProxmoxLook {
  api: ProxmoxApi;
  options: ProxmoxOptions;
  context: CheckContext;
  now: number;
  nodes: ProxmoxNode[];
  /** Without templates and those that are left out. */
  guests: Guest[];
  storages: Resource[];
  /** The tasks of a node as far back as failed ones count; asked once. */
  tasksOf: (node: string) => Promise<ApiAnswer<Task[]>>;
}

export interface ProxmoxNode {
  name: string;
  /** `down`: it should be up; `asleep`: it may be off. */
  is: 'online' | 'down' | 'asleep';
  resource: Resource;
}

export interface Guest {
  vmid: number;
  type: 'lxc' | 'qemu';
  /** `CT 101`, `VM 204`: stable, whatever its name. */
  title: string;
  name: string;
  node: string;
  status: string;
  labels: Labels;
  resource: Resource;
}

/** What a part of the look saw, and where it could not look. */
export interface Seen {
  observations: Observation[];
  blind: Blind[];
}

/** One place that could not be looked at. A node by its name: then its being down explains it. */
export interface Blind {
  resource: string;
  reason: string;
}

export function nodesIn(resources: readonly Resource[], options: ProxmoxOptions): ProxmoxNode[] {
  return resources
    .filter(({ type, node }) => type === 'node' && namePattern.test(node))
    .map((resource) => {
      const isOff = options.onDemandNodes.includes(resource.node) ? 'asleep' : 'down';
      return { name: resource.node, is: resource.status === 'online' ? 'online' : isOff, resource };
    });
}

export function guestsIn(resources: readonly Resource[], options: ProxmoxOptions): Guest[] {
  return resources.flatMap((resource) => {
    const { type, vmid, template } = resource;
    if ((type !== 'lxc' && type !== 'qemu') || vmid === undefined || !Number.isSafeInteger(vmid)) return [];
    if (template || options.ignoreGuests.includes(vmid) || !namePattern.test(resource.node)) return [];
    const name = oneLine(resource.name ?? '', 80);
    const labels = { guest: name, vmid: String(vmid), node: resource.node, guest_type: type };
    const title = `${type === 'lxc' ? 'CT' : 'VM'} ${vmid}`;
    return [{ vmid, type, title, name, node: resource.node, status: resource.status, labels, resource }];
  });
}

/** `CT 101 (web)`. */
export function called(guest: Guest): string {
  return guest.name === '' ? guest.title : `${guest.title} (${guest.name})`;
}

export function onlineNodes(look: ProxmoxLook): ProxmoxNode[] {
  return look.nodes.filter((node) => node.is === 'online');
}

/** Percent used; undefined where either number is missing or there is nothing to use. */
export function percentUsed(used: number | undefined, whole: number | undefined): number | undefined {
  return used === undefined || whole === undefined || whole <= 0 ? undefined : (used / whole) * 100;
}

/** Nodes that are down cannot be asked; those that are asleep need not be. */
export function blindNodes(look: ProxmoxLook): Blind[] {
  return look.nodes
    .filter((node) => node.is === 'down')
    .map(({ name }) => ({ resource: name, reason: `${name} is down` }));
}

export function isAsleep(look: ProxmoxLook, node: string): boolean {
  return look.nodes.some(({ name, is }) => name === node && is === 'asleep');
}

/** The condition under which a cluster is not there at all; it is seen at every look. */
export const absence = 'proxmox-down';

/**
 * What was seen and what was not, as observations. What a part reported at its last look is unseen where it is blind
 * now; a part that never saw anything is blind under the condition that always is there, so that what cannot be looked
 * at for want of a privilege keeps nothing else from counting as gone.
 */
export function gathered(look: ProxmoxLook, part: ProxmoxPart, { observations, blind }: Seen): Observation[] {
  const { memory } = look.context;
  const key = `conditions ${part}`;
  const before = conditionsIn(memory.get(key));
  const now = new Set(observations.map(({ condition }) => condition));
  const kept = blind.length === 0 ? now : new Set([...now, ...before]);
  remember(memory, key, [...kept].toSorted());
  const conditions = kept.size === 0 ? [absence] : [...kept];
  const unseens = blind.flatMap(({ resource, reason }) =>
    conditions.map((condition) => unseen({ condition, resource }, reason)),
  );
  return [...observations, ...unseens];
}

function conditionsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** Each resource once per condition: what was seen goes before what was not. */
export function onceEach(observations: readonly Observation[]): Observation[] {
  const byKey = new Map<string, Observation>();
  for (const observation of observations) {
    const key = `${observation.condition}\0${observation.resource}`;
    const other = byKey.get(key);
    if (other === undefined || other.reading.is === 'unknown') byKey.set(key, observation);
  }
  return [...byKey.values()];
}
