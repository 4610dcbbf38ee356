import { z } from 'zod';
import { HostName } from '#config/names.ts';
import { type Discovered, defineSource, type DiscoveryContext, type Thing } from '../inventory/source.ts';
import type { Container } from '../probes/containers.ts';
import type { Docker } from '../probes/docker.ts';
import { dockerCommand } from '../probes/docker-command.ts';
import { dockerEngine } from '../probes/docker-engine.ts';

export const source = defineSource({
  source: 'docker',
  about: 'Containers of a Docker engine: by its socket on this machine, by the `docker` command over the read login.',
  options: z.object({
    host: HostName.optional().describe('The host of this configuration that the engine runs on. Default: here.'),
    socket: z.string().startsWith('/').default('/var/run/docker.sock').describe('Socket of an engine of this machine.'),
  }),
  async discover({ host, socket }, context): Promise<Discovered> {
    const where = host ?? localHost(context);
    if (where !== undefined && context.hosts[where] === undefined) {
      return { is: 'silent', reason: `there is no host "${where}" in the configuration` };
    }
    const list = await dockerOf(where, { socket, context }).list(context.signal);
    if (list.is === 'unknown') return { is: 'silent', reason: list.reason };
    if (list.is === 'absent') return { is: 'silent', reason: 'there is no Docker' };
    return { is: 'answered', things: list.containers.filter(isLasting).map((one) => thingOf(one, where)), notes: [] };
  },
});

function localHost({ hosts }: DiscoveryContext): string | undefined {
  return Object.keys(hosts).find((name) => hosts[name]?.via === 'local');
}

function dockerOf(host: string | undefined, of: { socket: string; context: DiscoveryContext }): Docker {
  const { hosts, probes } = of.context;
  if (host === undefined || hosts[host]?.via === 'local') return dockerEngine(of.socket);
  return dockerCommand(probes.runnerFor(host));
}

/** What did its work and is not to start again is no part of the fleet. */
function isLasting({ status, policy }: Container): boolean {
  return !['exited', 'dead', 'created', 'removing'].includes(status) || (policy !== 'no' && policy !== '');
}

/** By name and not by id: an update of the image makes a new container of the old name. */
function thingOf({ name, image }: Container, host: string | undefined): Thing {
  const thing: Thing = { id: name, name, type: 'container', labels: { container: name, image } };
  return host === undefined ? thing : { ...thing, on: host };
}
