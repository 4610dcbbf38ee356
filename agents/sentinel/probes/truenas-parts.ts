import { z } from 'zod';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import type { ApiAnswer } from './api.ts';
import { level, state, unseen } from './reading.ts';
import { oneLine } from './text.ts';
import { callTruenas, type TruenasAt } from './truenas.ts';

/** One device of a pool, or a group of them. */
const Device = z.object({
  name: z.string().nullish(),
  disk: z.string().nullish(),
  stats: z
    .object({
      read_errors: z.number().default(0),
      write_errors: z.number().default(0),
      checksum_errors: z.number().default(0),
    })
    .nullish(),
  get children(): z.ZodOptional<z.ZodArray<typeof Device>> {
    return z.array(Device).optional();
  },
});
type Device = z.output<typeof Device>;

/** `topology` of `pool.query`: data, cache, log, spare and the like. Of another shape it tells nothing, and the pool still does. */
export const Topology = z.record(z.string(), z.array(Device)).nullish().catch(undefined);

/** `disk.temperatures`: degrees by disk, null where it tells none. */
const Temperatures = z.record(z.string(), z.number().nullable());
/** `service.query`. */
const Services = z.array(z.object({ service: z.string(), enable: z.boolean(), state: z.string() }));

/** Without these nobody reaches the files. */
const sharing = new Set(['nfs', 'cifs', 'iscsitarget', 'nvmet']);
const maximumShown = 100;

interface PartOptions {
  temperature: { warning: number; critical: number };
  ignoreServices: readonly string[];
}

/** Temperatures of the disks, and services that are switched on and do not run. */
export async function observeParts(at: TruenasAt, options: PartOptions, context: CheckContext): Promise<Observation[]> {
  const disks = await callTruenas(at, { method: 'disk.temperatures', params: [], schema: Temperatures }, context);
  const services = await callTruenas(at, { method: 'service.query', params: [], schema: Services }, context);
  return [
    ...known(disks, { condition: 'disk-hot', resource: 'disks' }, (all) => judgeDisks(all, options)),
    ...known(services, { condition: 'truenas-service-down', resource: 'services' }, (all) =>
      judgeServices(all, options),
    ),
  ];
}

/** What a version or an edition does not have is no fault. */
export function known<T>(
  answer: ApiAnswer<T>,
  said: { condition: string; resource: string },
  judge: (value: T) => Observation[],
): Observation[] {
  if (answer.is === 'value') return judge(answer.value);
  return /method (?:does not exist|not found)/i.test(answer.reason) ? [] : [unseen(said, answer.reason)];
}

function judgeDisks(all: z.output<typeof Temperatures>, { temperature }: PartOptions): Observation[] {
  return Object.entries(all)
    .slice(0, maximumShown)
    .flatMap(([name, celsius]) => {
      if (celsius === null) return [];
      return [
        level({
          condition: 'disk-hot',
          resource: name,
          labels: { disk: oneLine(name, 100) },
          summary: `disk ${name} of TrueNAS has ${celsius} °C`,
          value: celsius,
          unit: '°C',
          bad: 'above',
          ...temperature,
          holdMs: 10 * 60_000,
        }),
      ];
    });
}

function judgeServices(all: z.output<typeof Services>, { ignoreServices }: PartOptions): Observation[] {
  const wanted = all.filter(({ enable, service }) => enable && !ignoreServices.includes(service));
  return wanted.slice(0, maximumShown).map(({ service, state: now }) =>
    state({
      condition: 'truenas-service-down',
      resource: service,
      labels: { service: oneLine(service, 100) },
      summary: `service ${service} of TrueNAS is ${now.toLowerCase()}`,
      ok: now === 'RUNNING',
      severity: sharing.has(service) ? 'critical' : 'warning',
    }),
  );
}

/** Errors that the devices of a pool counted: one that is still online may be about to go. */
export function poolErrors(pool: string, topology: z.output<typeof Topology>): Observation[] {
  if (topology === null || topology === undefined) return [];
  const sick = Object.values(topology)
    .flat()
    .flatMap((device) => leavesOf(device))
    .flatMap(wordsOf);
  const words = sick.length === 0 ? 'counted no errors' : `counted errors: ${sick.slice(0, 4).join(', ')}`;
  return [
    state({
      condition: 'zfs-errors',
      resource: pool,
      labels: { pool: oneLine(pool, 100) },
      summary: `the devices of pool ${pool} ${words}`,
      ok: sick.length === 0,
      severity: 'warning',
      holdMs: 0,
    }),
  ];
}

/** A group repeats what its devices counted. Three levels are the most that ZFS has. */
function leavesOf(device: Device, depth = 0): Device[] {
  const { children = [] } = device;
  return children.length === 0 || depth > 3 ? [device] : children.flatMap((child) => leavesOf(child, depth + 1));
}

function wordsOf({ name, disk, stats }: Device): string[] {
  if (stats === null || stats === undefined) return [];
  const counts = [
    ['read', stats.read_errors],
    ['write', stats.write_errors],
    ['checksum', stats.checksum_errors],
  ] as const;
  const bad = counts.filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what}`);
  return bad.length === 0 ? [] : [`${disk ?? name ?? 'a device'} (${bad.join(', ')})`];
}
