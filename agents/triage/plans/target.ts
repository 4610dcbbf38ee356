import type { Parameters } from '#bus/fields.ts';

/**
 * What a playbook acts on, one per host: the host and the things that are named. Numbers are left out, so that another
 * number of days is no other target. The worker has the last word, by the types of the playbook's parameters.
 */
export function targetsOf(hosts: readonly string[], parameters: Parameters): string[] {
  const things = Object.entries(parameters)
    .filter(([, value]) => typeof value === 'string')
    .map(([name, value]) => `${name}=${value}`)
    .toSorted();
  return hosts.map((host) => [host, ...things].join(' '));
}
