import { z } from 'zod';
import { jsonOf, oneLine } from './text.ts';

/** A pool as `zpool list -Hp` has it. */
export interface Pool {
  name: string;
  health: string;
  /** Percent. */
  capacity: number;
  fragmentation: number;
  sizeBytes: number;
  freeBytes: number;
}

/** What `zpool status` adds. */
export interface PoolStatus {
  /** Epoch ms of the end of the last scrub; undefined when there never was one or it runs. */
  scrubbedAt?: number;
  /** What runs now: `scrub` or `resilver`. */
  running?: 'scrub' | 'resilver';
  /** Errors of data that could not be repaired. */
  dataErrors: number;
  /** Devices that are not ONLINE or that counted errors. */
  sick: string[];
}

/** `zpool list -Hp -o name,health,capacity,fragmentation,size,free`: tabs; `-` where a value does not apply. */
export function parsePools(text: string): Pool[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', health = '', capacity, fragmentation, size, free] = line.split('\t');
    if (!/^[A-Z]+$/.test(health) || free === undefined) return [];
    const number = (value: string | undefined): number => Number.parseFloat(value ?? '');
    return [
      {
        name: oneLine(name, 200),
        health,
        capacity: number(capacity),
        fragmentation: number(fragmentation),
        sizeBytes: number(size),
        freeBytes: number(free),
      },
    ];
  });
}

const Count = z.union([z.string(), z.number()]).transform(Number);

interface Device {
  name?: string | undefined;
  state?: string | undefined;
  read_errors?: number | undefined;
  write_errors?: number | undefined;
  checksum_errors?: number | undefined;
  vdevs?: Record<string, Device> | undefined;
}

const Vdev: z.ZodType<Device> = z.lazy(() =>
  z.object({
    name: z.string().optional(),
    state: z.string().optional(),
    read_errors: Count.optional(),
    write_errors: Count.optional(),
    checksum_errors: Count.optional(),
    vdevs: z.record(z.string(), Vdev).optional(),
  }),
);

const StatusJson = z.object({
  pools: z.record(
    z.string(),
    z.object({
      error_count: Count.optional(),
      scan_stats: z
        .object({ function: z.string(), state: z.string(), end_time: z.union([z.string(), z.number()]).optional() })
        .optional(),
      vdevs: z.record(z.string(), Vdev).optional(),
    }),
  ),
});

/** `zpool status -j --json-int` of OpenZFS 2.3; undefined for older ones, which know no JSON. */
export function parseStatusJson(text: string): Map<string, PoolStatus> | undefined {
  const parsed = StatusJson.safeParse(jsonOf(text));
  if (!parsed.success) return undefined;
  return new Map(
    Object.entries(parsed.data.pools).map(([name, pool]) => {
      const scan = pool.scan_stats;
      const isRunning = scan?.state === 'SCANNING';
      const kind = scan?.function === 'RESILVER' ? 'resilver' : 'scrub';
      const endedAt = Number(scan?.end_time) * 1_000;
      return [
        name,
        {
          ...(isRunning && { running: kind }),
          // A resilver reads only what it needs: it is no scrub.
          ...(!isRunning && kind === 'scrub' && endedAt > 0 && { scrubbedAt: endedAt }),
          dataErrors: pool.error_count ?? 0,
          sick: sickDevices(pool.vdevs ?? {}, 0),
        },
      ];
    }),
  );
}

function sickDevices(vdevs: Record<string, Device>, depth: number): string[] {
  return Object.entries(vdevs).flatMap(([key, device]) => {
    const errors = [device.read_errors ?? 0, device.write_errors ?? 0, device.checksum_errors ?? 0];
    const inner = depth < 6 ? sickDevices(device.vdevs ?? {}, depth + 1) : [];
    return [...deviceText(device.name ?? key, device.state ?? 'ONLINE', errors), ...inner];
  });
}

function deviceText(name: string, health: string, errors: readonly number[]): string[] {
  const isWell = /^(?:ONLINE|AVAIL|INUSE)$/.test(health) && errors.every((count) => count === 0);
  if (isWell) return [];
  const [read = 0, write = 0, checksum = 0] = errors;
  return [oneLine(`${name} ${health} (${read} read, ${write} write, ${checksum} checksum errors)`, 160)];
}

/** `zpool status -p` before 2.3, one block a pool. Dates are in the host's zone: `offsetMs` east of UTC. */
export function parseStatusText(text: string, offsetMs: number): Map<string, PoolStatus> {
  const pools = new Map<string, PoolStatus>();
  for (const block of text.split(/^(?=\s*pool: )/m)) {
    const name = /^\s*pool: (.+)$/m.exec(block)?.[1]?.trim();
    if (name !== undefined) pools.set(name, statusOf(block, offsetMs));
  }
  return pools;
}

const deviceLine = /^\t\s*(\S+)\s+([A-Z]+)\s+(\d+)\s+(\d+)\s+(\d+)/gm;

function statusOf(block: string, offsetMs: number): PoolStatus {
  const scan = /^\s*scan: (.+)$/m.exec(block)?.[1] ?? '';
  const running = /^(scrub|resilver) in progress/.exec(scan)?.[1] as 'scrub' | 'resilver' | undefined;
  const ended = /^scrub repaired .* on \w{3} (\w{3}) +(\d+) ([\d:]{8}) (\d{4})/.exec(scan);
  const endedAt = ended === null ? Number.NaN : Date.parse(`${ended[2]} ${ended[1]} ${ended[4]} ${ended[3]} UTC`);
  const errors = /^errors: (\d+) data errors?/m.exec(block)?.[1];
  const devices = [...block.matchAll(deviceLine)].slice(0, 200);
  return {
    ...(running !== undefined && { running }),
    ...(Number.isFinite(endedAt) && { scrubbedAt: endedAt - offsetMs }),
    dataErrors: errors === undefined ? (/^errors: Permanent errors/m.test(block) ? 1 : 0) : Number(errors),
    sick: devices.flatMap(([, name = '', health = '', ...counts]) => deviceText(name, health, counts.map(Number))),
  };
}
