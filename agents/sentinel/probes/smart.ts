import { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import { level, state } from './reading.ts';
import { counted, jsonOf, oneLine } from './text.ts';

const Attribute = z.object({ id: z.number(), name: z.string().optional(), raw: z.object({ value: z.number() }) });

/** What is read of `smartctl --json -a`; ATA and NVMe disks fill different parts. */
const SmartJson = z.object({
  smartctl: z.object({
    exit_status: z.number(),
    messages: z
      .array(z.object({ string: z.string() }))
      .max(50)
      .optional(),
  }),
  device: z.object({ name: z.string(), type: z.string().optional() }).optional(),
  model_name: z.string().optional(),
  serial_number: z.string().optional(),
  smart_status: z.object({ passed: z.boolean() }).optional(),
  temperature: z.object({ current: z.number() }).optional(),
  power_on_time: z.object({ hours: z.number() }).optional(),
  ata_smart_attributes: z.object({ table: z.array(Attribute).max(200) }).optional(),
  ata_smart_self_test_log: z
    .object({
      standard: z
        .object({
          table: z
            .array(
              z.object({
                lifetime_hours: z.number(),
                status: z.object({ passed: z.boolean().optional(), string: z.string().optional() }),
              }),
            )
            .max(30)
            .optional(),
        })
        .optional(),
    })
    .optional(),
  nvme_smart_health_information_log: z
    .object({
      critical_warning: z.number(),
      available_spare: z.number().optional(),
      available_spare_threshold: z.number().optional(),
      percentage_used: z.number().optional(),
      media_errors: z.number().optional(),
    })
    .optional(),
});
type SmartJson = z.output<typeof SmartJson>;

type SmartAnswer =
  | { is: 'read'; disk: SmartJson }
  | { is: 'asleep' }
  /** A device that cannot tell, such as a virtual disk or a USB bridge. */
  | { is: 'silent'; reason: string };

/** One line of `smartctl --json=c -n standby,3 -a`. Undefined when it is no JSON of smartctl. */
export function parseSmart(text: string): SmartAnswer | undefined {
  const parsed = SmartJson.safeParse(jsonOf(text));
  if (!parsed.success) return undefined;
  const disk = parsed.data;
  const said = (disk.smartctl.messages ?? []).map((message) => message.string).join('; ');
  // Bits of the status: 1 the command line, 2 the device could not be opened or sleeps; the higher ones are the disk's.
  if (disk.smartctl.exit_status === 3 && (said === '' || /standby|sleep/i.test(said))) return { is: 'asleep' };
  if (/\bSTANDBY\b|\bSLEEP\b/.test(said)) return { is: 'asleep' };
  const knows = disk.smart_status !== undefined || disk.nvme_smart_health_information_log !== undefined;
  if (!knows) return { is: 'silent', reason: oneLine(said === '' ? 'it tells no health' : said, 200) };
  return { is: 'read', disk };
}

export interface SmartLimits {
  temperature: { warning: number; critical: number };
  wear: { warning: number; critical: number };
  /** Hours of operation since the last self-test; 0 asks for none. */
  selfTestHours: number;
}

/** Attributes whose raw value counts sectors: those moved away, those waiting, those lost. */
const moved = 5;
const waiting = 197;
const lost = 198;

export function observeDisk(name: string, disk: SmartJson, limits: SmartLimits): Observation[] {
  const resource = oneLine(name, 100);
  const model = oneLine([disk.model_name, disk.serial_number].filter(Boolean).join(' '), 80);
  const said: Named = {
    resource,
    labels: { device: resource, ...(model !== '' && { model }) },
    what: titled(resource, model),
  };
  return [
    health(disk, said),
    ...sectors(disk, said),
    ...wear(disk, said, limits),
    ...heat(disk, said, limits),
    ...selfTest(disk, said, limits),
  ];
}

interface Named {
  resource: string;
  labels: Record<string, string>;
  what: string;
}

function titled(resource: string, model: string): string {
  return model === '' ? resource : `${resource} (${model})`;
}

function named({ resource, labels }: Named): { resource: string; labels: Record<string, string> } {
  return { resource, labels };
}

function health(disk: SmartJson, said: Named): Observation {
  const warnings = disk.nvme_smart_health_information_log?.critical_warning ?? 0;
  const isWell = disk.smart_status?.passed !== false && warnings === 0;
  const why = warnings === 0 ? 'says that it is failing' : `warns: ${nvmeWarnings(warnings)}`;
  return state({
    condition: 'disk-failing',
    ...named(said),
    summary: isWell ? `${said.what} says that it is well` : `${said.what} ${why}`,
    ok: isWell,
    severity: 'critical',
    holdMs: 0,
  });
}

const nvmeBits = [
  'little spare',
  'temperature',
  'unreliable',
  'read-only',
  'backup of its memory failed',
  'memory region',
];

function nvmeWarnings(bits: number): string {
  return nvmeBits.filter((_name, bit) => (bits & (1 << bit)) !== 0).join(', ') || `0x${bits.toString(16)}`;
}

function sectors(disk: SmartJson, said: Named): Observation[] {
  const table = disk.ata_smart_attributes?.table;
  const media = disk.nvme_smart_health_information_log?.media_errors;
  if (table === undefined && media === undefined) return [];
  const of = (id: number): number => table?.find((attribute) => attribute.id === id)?.raw.value ?? 0;
  const parts = [
    [of(waiting), 'pending sector'],
    [of(lost), 'uncorrectable sector'],
    [of(moved), 'reallocated sector'],
    [media ?? 0, 'media error'],
  ] as const;
  const bad = parts.filter(([count]) => count > 0).map(([count, noun]) => counted(count, noun));
  // Data is lost or will be; a sector that was moved away has cost none.
  const isLoss = of(waiting) + of(lost) + (media ?? 0) > 0;
  return [
    state({
      condition: 'disk-sectors-bad',
      ...named(said),
      summary: bad.length === 0 ? `${said.what} has no bad sectors` : `${said.what} has ${bad.join(', ')}`,
      ok: bad.length === 0,
      severity: isLoss ? 'critical' : 'warning',
      holdMs: 0,
    }),
  ];
}

function wear(disk: SmartJson, said: Named, limits: SmartLimits): Observation[] {
  const used = disk.nvme_smart_health_information_log?.percentage_used;
  if (used === undefined) return [];
  return [
    level({
      condition: 'disk-worn',
      ...named(said),
      summary: `${said.what} has used ${used} % of its life`,
      value: used,
      unit: '%',
      bad: 'above',
      ...limits.wear,
    }),
  ];
}

function heat(disk: SmartJson, said: Named, limits: SmartLimits): Observation[] {
  const celsius = disk.temperature?.current;
  // 0 is what disks without a sensor tell.
  if (celsius === undefined || celsius <= 0) return [];
  // NVMe disks are built for 70 °C and more; spinning ones age above 45 °C.
  const warmer = disk.nvme_smart_health_information_log === undefined ? 0 : 25;
  return [
    level({
      condition: 'disk-hot',
      ...named(said),
      holdMs: 600_000,
      summary: `${said.what} has ${celsius} °C`,
      value: celsius,
      unit: '°C',
      bad: 'above',
      warning: limits.temperature.warning + warmer,
      critical: limits.temperature.critical + warmer,
    }),
  ];
}

function selfTest(disk: SmartJson, said: Named, limits: SmartLimits): Observation[] {
  const table = disk.ata_smart_self_test_log?.standard?.table;
  const hours = disk.power_on_time?.hours;
  if (table === undefined || hours === undefined) return [];
  const [last] = table;
  const result = last?.status.passed === false ? oneLine(last.status.string ?? 'failed', 80) : undefined;
  const found = [
    state({
      condition: 'disk-self-test-failed',
      ...named(said),
      summary:
        result === undefined
          ? `the last self-test of ${said.what} did not fail`
          : `the last self-test of ${said.what}: ${result}`,
      ok: result === undefined,
      severity: 'critical',
      holdMs: 0,
    }),
  ];
  if (limits.selfTestHours === 0 || last === undefined) return found;
  // The counter of hours in the log has 16 bits and begins anew after seven years.
  const age = (((hours - last.lifetime_hours) % 65_536) + 65_536) % 65_536;
  return [
    ...found,
    level({
      condition: 'disk-self-test-old',
      ...named(said),
      summary: `the last self-test of ${said.what} was ${counted(age, 'hour')} of operation ago`,
      value: age,
      unit: 'h',
      bad: 'above',
      warning: limits.selfTestHours,
      holdMs: 0,
    }),
  ];
}
