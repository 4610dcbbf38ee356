import type { Parameters } from '#bus/fields.ts';
import type { Playbook } from '#playbooks/playbook.ts';
import type { RunTarget } from './store/runs.ts';

/**
 * What a run acts on, one per host: the host and the parameters that name a thing. Numbers and choices are left out, so
 * that asking with another number of days does not slip past the brake or a block.
 */
export function targetsOf(
  playbook: Pick<Playbook, 'parameters'>,
  hosts: readonly string[],
  parameters: Parameters,
): RunTarget[] {
  const things = Object.entries(playbook.parameters)
    .filter(([, { type }]) => type === 'unit' || type === 'container' || type === 'path')
    .map(([name]) => `${name}=${String(parameters[name])}`)
    .toSorted();
  return hosts.map((host) => ({ host, target: [host, ...things].join(' ') }));
}
