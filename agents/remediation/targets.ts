import { basename } from 'node:path';
import type { Parameters } from '#bus/fields.ts';
import type { PlanBody, PlannedHost } from '#bus/messages/plan.ts';
import type { Playbook } from '#playbooks/playbook.ts';
import { plainCommand } from './commands.ts';
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

const loopback: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost']);
const sshPort = 22;

/** Two names of the inventory with one address and port are one machine. */
export function machineOf({ transport, address, port }: PlannedHost): string {
  const name = address.toLowerCase().replace(/\.$/, '');
  return transport === 'local' || (loopback.has(name) && port === sshPort) ? 'local' : `${name}:${port}`;
}

const engine: ReadonlySet<string> = new Set(['restart', 'start', 'stop', 'kill']);
const restarting: Readonly<Record<string, ReadonlySet<string>>> = {
  systemctl: new Set([...engine, 'try-restart', 'reload-or-restart', 'try-reload-or-restart']),
  docker: engine,
  podman: engine,
};

/**
 * The units and containers that the steps of a plan start, stop or restart, each with its machine: however a playbook
 * is called, restarting one thing again and again is one story.
 */
export function resourcesOf(body: Pick<PlanBody, 'hosts' | 'steps'>): string[] {
  const machines = new Map(body.hosts.map((host) => [host.host, machineOf(host)]));
  const found = body.steps.flatMap((step) => {
    const [program = '', ...rest] = plainCommand(step);
    const tool = basename(program);
    const [verb = '', ...names] = rest.filter((word) => !word.startsWith('-'));
    if (!Object.hasOwn(restarting, tool) || restarting[tool]?.has(verb) !== true) return [];
    return names.map(
      (name) => `${machines.get(step.host) ?? step.host} ${tool} ${tool === 'systemctl' ? unit(name) : name}`,
    );
  });
  return [...new Set(found)];
}

function unit(name: string): string {
  return /\.(service|socket|timer|path|mount|target|slice|scope)$/.test(name) ? name : `${name}.service`;
}
