import { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import type { Api } from './api.ts';
import { state, unseen } from './reading.ts';
import { counted, oneLine } from './text.ts';

/** Collections of PocketBase are read in pages of at most 500; more sick things than that are one sickness. */
const perPage = 500;
const maximumTold = 100;

/** `DockerHealth` of Beszel 0.18: 0 none, 1 starting, 2 healthy, 3 unhealthy. */
const unhealthy = 3;

const Containers = z.object({
  items: z.array(z.object({ system: z.string(), name: z.string(), status: z.string().default('') })),
});
const Disks = z.object({
  items: z.array(
    z.object({ system: z.string(), name: z.string(), model: z.string().default(''), state: z.string().default('') }),
  ),
});

interface Hub {
  api: Api;
  headers: Record<string, string>;
  /** Ids of the systems that are watched to their names. */
  systems: ReadonlyMap<string, string>;
}

/** Containers whose own health check says that they are sick, on all systems. */
export async function lookAtContainers(hub: Hub): Promise<Observation[]> {
  const said = { condition: 'container-unhealthy', resource: 'containers', foreign: true as const };
  const found = await sickOnes(hub, { schema: Containers, of: 'containers', filter: `health=${unhealthy}` });
  if (typeof found === 'string') return [unseen(said, found)];
  const own = found?.filter(({ system }) => hub.systems.has(system));
  if (own === undefined) return [];
  return [
    state({ ...said, summary: `${counted(own.length, 'container')} unhealthy`, ok: true, severity: 'warning' }),
    ...once(own, hub).map(({ resource, system, name, status }) =>
      state({
        ...said,
        resource,
        labels: { system, container: oneLine(name, 200) },
        summary: `the container ${name} on ${system} is not healthy, says Beszel${status === '' ? '' : `: ${oneLine(status, 100)}`}`,
        ok: false,
        severity: 'warning',
      }),
    ),
  ];
}

/** Disks that SMART gives up, on all systems whose agents may ask it. */
export async function lookAtDisks(hub: Hub): Promise<Observation[]> {
  const said = { condition: 'disk-failing', resource: 'disks', foreign: true as const };
  const filter = "state='FAILED'||state='WARNING'";
  const found = await sickOnes(hub, { schema: Disks, of: 'smart_devices', filter });
  if (typeof found === 'string') return [unseen(said, found)];
  const own = found?.filter(({ system }) => hub.systems.has(system));
  if (own === undefined) return [];
  return [
    state({ ...said, summary: `${counted(own.length, 'disk')} failing`, ok: true, severity: 'critical' }),
    ...once(own, hub).map(({ resource, system, name, model, state: health }) =>
      state({
        ...said,
        resource,
        labels: { system, disk: oneLine(name, 100) },
        summary: `the disk ${name} (${oneLine(model || 'unknown', 60)}) of ${system} says of its health: ${oneLine(health, 20)}`,
        ok: false,
        severity: health === 'FAILED' ? 'critical' : 'warning',
        holdMs: 0,
      }),
    ),
  ];
}

/** Undefined where the hub has no such collection: older ones do not. */
async function sickOnes<T>(
  { api, headers }: Hub,
  ask: { schema: z.ZodType<{ items: T[] }>; of: string; filter: string },
): Promise<T[] | string | undefined> {
  const path = `/api/collections/${ask.of}/records`;
  const answer = await api.json(ask.schema, { path, headers, query: { perPage, filter: ask.filter } });
  if (answer.is === 'value') return answer.value.items;
  return answer.is === 'refused' && answer.status === 404 ? undefined : answer.reason;
}

function once<T extends { system: string; name: string }>(found: readonly T[], { systems }: Hub) {
  const named = found.map((one) => {
    const system = oneLine(systems.get(one.system) ?? one.system, 100);
    return { ...one, system, resource: `${system} ${one.name}` };
  });
  return [...new Map(named.map((one) => [one.resource, one])).values()].slice(0, maximumTold);
}
