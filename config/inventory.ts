import type { Labels } from '#bus/fields.ts';
import type { Config, HostConfig } from './schema.ts';

interface InventoryNode {
  name: string;
  type: 'host' | 'service';
  /** What it runs on. */
  on?: string;
  dependsOn: readonly string[];
  labels: Labels;
  host?: HostConfig;
}

/** What runs on what and what depends on what. Names are unique over hosts and services. */
export interface Inventory {
  readonly nodes: ReadonlyMap<string, InventoryNode>;
  /** All that `name` needs: what it runs on and what it depends on, nearest first, each once; loops are cut. */
  ancestors(name: string): readonly string[];
  /** All that would be hurt if `name` went: the nodes that have it as ancestor. */
  dependents(name: string): readonly string[];
}

export function createInventory(config: Pick<Config, 'hosts' | 'services'>): Inventory {
  const nodes = new Map<string, InventoryNode>();
  for (const [name, host] of Object.entries(config.hosts)) {
    nodes.set(name, {
      name,
      type: 'host',
      ...(host.on && { on: host.on }),
      dependsOn: host.dependsOn,
      labels: host.labels,
      host,
    });
  }
  for (const [name, service] of Object.entries(config.services)) nodes.set(name, { name, type: 'service', ...service });
  const dependentsOf = reverse(nodes);
  return {
    nodes,
    ancestors: (name) => walk(name, (at) => needs(nodes.get(at))),
    dependents: (name) => walk(name, (at) => dependentsOf.get(at) ?? []),
  };
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
    for (const name of needs(node)) found.set(name, [...(found.get(name) ?? []), node.name]);
  }
  return found;
}

function needs(node: InventoryNode | undefined): string[] {
  if (node === undefined) return [];
  return node.on === undefined ? [...node.dependsOn] : [node.on, ...node.dependsOn];
}
