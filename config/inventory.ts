import type { Labels } from '#bus/fields.ts';
import type { FoundNode } from '#bus/messages/inventory.ts';
import type { Criticality } from './inventory-fields.ts';
import { plainName } from './plain-name.ts';
import type { Config, HostConfig } from './schema.ts';

export interface InventoryNode {
  name: string;
  /** `found`: nobody wrote it down, a source of discovery told of it. It explains, and nothing is ever run on it. */
  type: 'host' | 'service' | 'found';
  /** What it runs on. */
  on?: string;
  dependsOn: readonly string[];
  labels: Labels;
  group?: string;
  criticality: Criticality;
  /** Whether being off or stopped is as its owner wishes. */
  mayRest: boolean;
  host?: HostConfig;
}

/** What runs on what and what depends on what. Names are unique over hosts and services. */
export interface Inventory {
  readonly nodes: ReadonlyMap<string, InventoryNode>;
  /** The node that goes by a name here or in one of the sources, which may spell it in their own way. */
  nameOf(text: string): string | undefined;
  /** All that `name` needs: what it runs on and what it depends on, nearest first, each once; loops are cut. */
  ancestors(name: string): readonly string[];
  /** All that would be hurt if `name` went: the nodes that have it as ancestor. */
  dependents(name: string): readonly string[];
  /** Takes what was found in place of what was found before. What is written stays as it is written. */
  learn(found: readonly FoundNode[]): void;
}

export function createInventory(config: Pick<Config, 'hosts' | 'services'>): Inventory {
  const written = writtenNodes(config);
  let now = pictureOf(written, []);
  return {
    get nodes() {
      return now.nodes;
    },
    nameOf: (text) => (now.nodes.has(text) ? text : now.aliases.get(plainName(text))),
    ancestors: (name) => walk(name, (at) => needs(now.nodes.get(at))),
    dependents: (name) => walk(name, (at) => now.dependents.get(at) ?? []),
    learn: (found) => void (now = pictureOf(written, found)),
  };
}

function writtenNodes(config: Pick<Config, 'hosts' | 'services'>): Map<string, InventoryNode> {
  const nodes = new Map<string, InventoryNode>();
  for (const [name, host] of Object.entries(config.hosts)) {
    const { dependsOn, labels, criticality, on, group } = host;
    const links = { ...(on !== undefined && { on }), ...(group !== undefined && { group }) };
    const mayRest = host.onDemand !== undefined;
    nodes.set(name, { name, type: 'host', ...links, dependsOn, labels, criticality, mayRest, host });
  }
  for (const [name, service] of Object.entries(config.services)) {
    const { dependsOn, labels, criticality, on, group, onDemand } = service;
    const links = { on, ...(group !== undefined && { group }) };
    nodes.set(name, { name, type: 'service', ...links, dependsOn, labels, criticality, mayRest: onDemand });
  }
  return nodes;
}

interface Picture {
  nodes: Map<string, InventoryNode>;
  aliases: Map<string, string>;
  dependents: Map<string, string[]>;
}

function pictureOf(written: ReadonlyMap<string, InventoryNode>, found: readonly FoundNode[]): Picture {
  const nodes = new Map(written);
  for (const { name, labels } of found) {
    if (nodes.has(name)) continue;
    const plain = { dependsOn: [], labels: labels ?? {}, criticality: 'normal', mayRest: false } as const;
    nodes.set(name, { name, type: 'found', ...plain });
  }
  const aliases = new Map<string, string>();
  for (const { name, on, aliases: others } of found) {
    const node = nodes.get(name);
    if (node !== undefined && node.on === undefined && on !== undefined && on !== name && nodes.has(on)) {
      nodes.set(name, { ...node, on });
    }
    for (const other of others) addAlias(aliases, plainName(other), name);
  }
  for (const name of nodes.keys()) aliases.set(plainName(name), name);
  return { nodes, aliases, dependents: reverse(nodes) };
}

/** The first says what a name means: two things of one name stay apart. */
function addAlias(aliases: Map<string, string>, alias: string, name: string): void {
  if (!aliases.has(alias)) aliases.set(alias, name);
}

/** All that is reached from `start`, level by level, each once and never `start` itself: loops end there. */
function walk(start: string, next: (name: string) => readonly string[]): readonly string[] {
  const seen = new Set([start]);
  const found: string[] = [];
  for (let level = next(start); level.length > 0;) {
    const fresh = [...new Set(level)].filter((name) => !seen.has(name));
    for (const name of fresh) seen.add(name);
    found.push(...fresh);
    level = fresh.flatMap(next);
  }
  return found;
}

function reverse(nodes: ReadonlyMap<string, InventoryNode>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const node of nodes.values()) {
    for (const name of needs(node)) {
      const list = found.get(name);
      if (list === undefined) found.set(name, [node.name]);
      else list.push(node.name);
    }
  }
  return found;
}

function needs(node: InventoryNode | undefined): string[] {
  if (node === undefined) return [];
  return node.on === undefined ? [...node.dependsOn] : [node.on, ...node.dependsOn];
}
