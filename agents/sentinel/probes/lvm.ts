import { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import { level, state } from './reading.ts';
import { formatBytes, jsonOf } from './text.ts';

/** Numbers of lvm2's JSON are texts; one that does not apply is an empty text. */
const Numeric = z.union([z.string(), z.number()]).transform((value) => (value === '' ? Number.NaN : Number(value)));

const Group = z.object({
  vg_name: z.string(),
  vg_size: Numeric,
  vg_free: Numeric,
  vg_missing_pv_count: Numeric.optional(),
});
const Volume = z.object({
  vg_name: z.string(),
  lv_name: z.string(),
  lv_attr: z.string(),
  lv_size: Numeric,
  data_percent: Numeric.optional(),
  metadata_percent: Numeric.optional(),
  lv_health_status: z.string().optional(),
  origin: z.string().optional(),
});
const Disk = z.object({ pv_name: z.string(), vg_name: z.string(), pv_missing: z.string() });

const Report = z.object({
  report: z
    .array(z.object({ vg: z.array(Group).optional(), lv: z.array(Volume).optional(), pv: z.array(Disk).optional() }))
    .max(20),
});

type VolumeGroup = z.output<typeof Group>;
type LogicalVolume = z.output<typeof Volume>;
type PhysicalVolume = z.output<typeof Disk>;

const maximumRows = 500;

/**
 * `--reportformat json` of vgs, lvs or pvs. lvm2 prints its warnings whenever it comes upon something, in the midst of
 * the JSON too: each is a line of its own that no line of JSON looks like. Undefined when there is no report.
 */
export function parseLvmReport(
  text: string,
): { groups: VolumeGroup[]; volumes: LogicalVolume[]; disks: PhysicalVolume[] } | undefined {
  const json = text.split('\n').filter((line) => /^\s*[{}[\]"]/.test(line));
  const report = Report.safeParse(jsonOf(json.join('\n')));
  if (!report.success) return undefined;
  const rows = report.data.report;
  return {
    groups: rows.flatMap(({ vg }) => vg ?? []).slice(0, maximumRows),
    volumes: rows.flatMap(({ lv }) => lv ?? []).slice(0, maximumRows),
    disks: rows.flatMap(({ pv }) => pv ?? []).slice(0, maximumRows),
  };
}

interface LvmLimits {
  data: { warning: number; critical: number };
  metadata: { warning: number; critical: number };
  /** GiB free below which a group warns; 0: never. */
  free: number;
}

const giB = 1_024 ** 3;

export function observeGroup(group: VolumeGroup, limits: LvmLimits): Observation[] {
  const { vg_name: name, vg_free: freeBytes } = group;
  return [
    level({
      condition: 'lvm-group-full',
      resource: name,
      labels: { group: name },
      summary: `volume group ${name} has ${formatBytes(freeBytes)} of ${formatBytes(group.vg_size)} free`,
      value: Number((freeBytes / giB).toFixed(2)),
      unit: 'GiB',
      bad: 'below',
      ...(limits.free > 0 && { warning: limits.free }),
    }),
  ];
}

/** One observation a group: its disks that are gone. */
export function observeDisks(group: VolumeGroup, disks: readonly PhysicalVolume[]): Observation {
  const name = group.vg_name;
  const own = disks.filter((disk) => disk.vg_name === name);
  const missing = own.filter((disk) => disk.pv_missing !== '');
  const count = Math.max(missing.length, group.vg_missing_pv_count ?? 0);
  return state({
    condition: 'lvm-disk-missing',
    resource: name,
    labels: { group: name },
    summary:
      count === 0
        ? `all ${own.length} physical volumes of ${name} are there`
        : `${count} of ${own.length} physical volumes of ${name} missing: ${missing.map((disk) => disk.pv_name).join(', ')}`,
    ok: count === 0,
    severity: 'critical',
    holdMs: 0,
  });
}

/** Pools, snapshots and what lvm2 itself calls sick; a healthy plain volume says nothing. */
export function observeVolume(volume: LogicalVolume, limits: LvmLimits): Observation[] {
  const resource = `${volume.vg_name}/${volume.lv_name}`;
  const labels = { group: volume.vg_name, volume: volume.lv_name };
  const type = volume.lv_attr[0];
  const fill = (condition: string, what: string, of: { value: number; warning: number; critical: number }) =>
    level({
      condition,
      resource,
      labels,
      summary: `${what} ${resource} is ${of.value.toFixed(1)} % full (${formatBytes(volume.lv_size)})`,
      unit: '%',
      bad: 'above',
      ...of,
    });
  const { data_percent: data = Number.NaN, metadata_percent: metadata = Number.NaN } = volume;
  const found: Observation[] = [];
  if (type === 't' && Number.isFinite(data)) {
    found.push(fill('lvm-pool-full', 'thin pool', { value: data, ...limits.data }));
    if (Number.isFinite(metadata)) {
      found.push(fill('lvm-pool-metadata-full', 'metadata of thin pool', { value: metadata, ...limits.metadata }));
    }
  }
  // A snapshot of the old kind that runs full becomes invalid; thin ones live in their pool.
  if ((type === 's' || type === 'S') && Number.isFinite(data)) {
    found.push(fill('lvm-snapshot-full', 'snapshot', { value: data, ...limits.data }));
  }
  return [...found, ...health(volume, { resource, labels })];
}

function health(volume: LogicalVolume, of: { resource: string; labels: Record<string, string> }): Observation[] {
  const words = volume.lv_health_status ?? '';
  // The fifth character of lv_attr: I and S are an invalid snapshot and a suspended one of them, X is unknown.
  const isInvalid = /^....[IS]/.test(volume.lv_attr);
  if (words === '' && !isInvalid) return [];
  const text = isInvalid ? 'an invalid snapshot: its space ran out' : words;
  return [
    state({
      condition: 'lvm-volume-unhealthy',
      ...of,
      summary: `${of.resource} is ${text}`,
      ok: false,
      severity: isInvalid || words === 'refresh needed' ? 'warning' : 'critical',
    }),
  ];
}
