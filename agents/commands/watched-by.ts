import type { FoundNode } from '#bus/messages/inventory.ts';
import type { BoundCheck } from '../sentinel/registry.ts';

/**
 * The checks that look at a node: those of its host or service, those of the cluster for nodes and guests that it
 * told of, and those of the containers of its host.
 */
export function watchedBy(node: FoundNode, checks: readonly BoundCheck[]): string[] {
  return checks.filter((check) => looksAt(check, node)).map(({ id }) => id);
}

function looksAt(check: BoundCheck, node: FoundNode): boolean {
  const { kind, config, host } = check;
  if (host?.name === node.name || config.service === node.name) return true;
  if (kind === 'proxmox') return isOfCluster(node);
  return kind === 'docker-container' && node.type === 'container' && host?.name === node.on && names(check, node);
}

/** The labels that the source gives to what a cluster told of. */
function isOfCluster({ type, labels = {} }: FoundNode): boolean {
  return labels['vmid'] !== undefined || (type === 'node' && labels['node'] !== undefined);
}

function names({ options }: BoundCheck, { name, labels }: FoundNode): boolean {
  const only = options['containers'];
  return !Array.isArray(only) || only.includes(labels?.['container'] ?? name);
}
