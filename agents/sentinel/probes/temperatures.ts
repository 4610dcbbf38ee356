import type { Observation } from '#agents/sentinel/check.ts';
import { level } from './reading.ts';
import { oneLine } from './text.ts';

interface Sensor {
  /** `k10temp Tctl`, `drivetemp sda`. */
  name: string;
  chip: string;
  celsius: number;
  /** Where the maker says that it gets dangerous; absent or nonsense: undefined. */
  critical?: number;
}

const maximumSensors = 120;
const believable = { from: -20, to: 125 };

/**
 * `grep -s ''` over `hwmon*\/{name,temp*}` and `thermal_zone*\/{type,temp}`: one `path:value` a line, millidegrees.
 * Inputs that nothing is connected to tell -128, 127.5 and the like: they are left out.
 */
export function parseSensors(text: string): Sensor[] {
  const folders = new Map<string, Map<string, string>>();
  for (const line of text.split('\n')) {
    const match = /^\S*?\/((?:hwmon|thermal_zone)\d+)\/([a-z0-9_/]+):(.*)$/.exec(line);
    if (match === null) continue;
    const [, folder = '', file = '', value = ''] = match;
    const files = folders.get(folder) ?? new Map<string, string>();
    folders.set(folder, files.set(file, value.trim()));
  }
  const sensors = [...folders].flatMap(([folder, files]) =>
    folder.startsWith('hwmon') ? hwmonSensors(folder, files) : zoneSensors(files),
  );
  const hasHwmonCpu = sensors.some(({ name, chip }) => cpuChips.has(chip) && !name.startsWith('zone '));
  // A zone repeats what a sensor of the chip tells better.
  const kept = hasHwmonCpu ? sensors.filter(({ name }) => !name.startsWith('zone ')) : sensors;
  return unique(kept).slice(0, maximumSensors);
}

function hwmonSensors(folder: string, files: ReadonlyMap<string, string>): Sensor[] {
  const chip = oneLine(files.get('name') ?? folder, 40);
  const disk = oneLine(files.get('device/model') ?? '', 40);
  return [...files].flatMap(([file, value]) => {
    const number = /^temp(\d+)_input$/.exec(file)?.[1];
    if (number === undefined) return [];
    const label = oneLine(files.get(`temp${number}_label`) ?? (disk === '' ? `temp${number}` : ''), 40);
    const name = [chip, disk, label].filter(Boolean).join(' ');
    return sensor({ name, chip, value, critical: files.get(`temp${number}_crit`) });
  });
}

function zoneSensors(files: ReadonlyMap<string, string>): Sensor[] {
  const chip = oneLine(files.get('type') ?? '', 40);
  const value = files.get('temp');
  return value === undefined || chip === '' ? [] : sensor({ name: `zone ${chip}`, chip, value, critical: undefined });
}

function sensor(of: { name: string; chip: string; value: string; critical: string | undefined }): Sensor[] {
  const celsius = milli(of.value);
  if (!(celsius > believable.from && celsius < believable.to) || celsius === 0) return [];
  const critical = milli(of.critical ?? '');
  return [{ name: of.name, chip: of.chip, celsius, ...(critical > 30 && critical < believable.to && { critical }) }];
}

function milli(text: string): number {
  return /^-?\d+$/.test(text) ? Number(text) / 1_000 : Number.NaN;
}

/** Two disks of one model, two chips of one name. */
function unique(sensors: readonly Sensor[]): Sensor[] {
  const seen = new Map<string, number>();
  return sensors.map((one) => {
    const count = (seen.get(one.name) ?? 0) + 1;
    seen.set(one.name, count);
    return count === 1 ? one : { ...one, name: `${one.name} #${count}` };
  });
}

const cpuChips = new Set(
  'coretemp k10temp k8temp zenpower cpu_thermal cpu-thermal soc_thermal x86_pkg_temp fam15h_power via_cputemp'.split(
    ' ',
  ),
);

interface TemperatureLimits {
  cpu: { warning: number; critical: number };
  disk: { warning: number; critical: number };
  nvme: { warning: number; critical: number };
  other: { warning: number; critical: number };
}

function sortOf({ chip }: Sensor): keyof TemperatureLimits {
  if (cpuChips.has(chip)) return 'cpu';
  if (chip === 'drivetemp') return 'disk';
  return chip === 'nvme' ? 'nvme' : 'other';
}

/** A value of its maker goes before a critical limit that lies above it. */
export function observeSensor(of: Sensor, limits: TemperatureLimits): Observation {
  const { warning, critical } = limits[sortOf(of)];
  return level({
    condition: 'temperature-high',
    resource: of.name,
    labels: { sensor: of.name },
    holdMs: 300_000,
    summary: `${of.name} has ${of.celsius.toFixed(0)} °C`,
    value: of.celsius,
    unit: '°C',
    bad: 'above',
    warning: Math.min(warning, of.critical ?? warning),
    critical: Math.min(critical, of.critical ?? critical),
  });
}
