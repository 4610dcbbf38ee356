import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { askHost, linesOf, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { levels } from '#agents/sentinel/probes/levels-option.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { observeSensor, parseSensors } from '#agents/sentinel/probes/temperatures.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const all = 'sensors';

function degrees(warning: number, critical: number) {
  return levels({ warning, critical, most: 150 }).prefault({});
}

const Options = z.strictObject({
  ignore: z
    .array(z.string().max(255))
    .max(50)
    .default([])
    .describe('Sensors to leave out, such as `nct6775 AUXTIN*`; `*` stands for any text.'),
  cpu: degrees(70, 85).describe('Degrees Celsius of processors. Lasts 5 minutes before it fires, as all of them.'),
  disk: degrees(45, 55).describe('Degrees Celsius of disks that tell it to the kernel (drivetemp).'),
  nvme: degrees(70, 80).describe('Degrees Celsius of NVMe disks.'),
  other: degrees(80, 95).describe('Degrees Celsius of everything else: boards, network cards, memory.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'temperature',
  about: 'Temperatures that the kernel reads: processors, disks, boards. A limit of the maker goes before ours.',
  options: Options,
  reach: 'host',
  resourceOf: () => all,
  observe,
  evidence: { about: 'the speed of the fans and the processes that take most of the CPU', gather },
});

/** Where the kernel shows its sensors: an argument, because a test has no other way to have some. */
const sensorFolder = '/sys/class';

const script = String.raw`${scriptHead}
set +f
there() { ls -d "$1"/hwmon/hwmon* "$1"/thermal/thermal_zone* 2>/dev/null; true; }
values() { grep -s '' "$1"/hwmon/hwmon*/name "$1"/hwmon/hwmon*/temp*_input "$1"/hwmon/hwmon*/temp*_label "$1"/hwmon/hwmon*/temp*_crit "$1"/hwmon/hwmon*/device/model "$1"/thermal/thermal_zone*/type "$1"/thermal/thermal_zone*/temp 2>/dev/null; true; }
part there there "$1"
part values values "$1"
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const answer = await askHost(context, { script, values: [sensorFolder] });
  if (!answer.ok) return [blind(answer.reason)];
  const sensors = parseSensors(answer.sections.get('values')?.text ?? '');
  if (sensors.length === 0) {
    const any = linesOf(answer.sections, 'there').length > 0;
    return [
      blind(any ? 'no sensor tells a temperature' : 'the kernel shows no sensors here, as in most virtual machines'),
    ];
  }
  const watched = sensors.filter(({ name }) => !matchesAny(name, options.ignore));
  return [
    state({
      condition: 'temperature-high',
      resource: all,
      summary: `looked at ${counted(watched.length, 'sensor')}`,
      ok: true,
      severity: 'critical',
    }),
    ...watched.map((sensor) => observeSensor(sensor, options)),
  ];
}

function blind(reason: string): Observation {
  return unseen({ condition: 'temperature-high', resource: all }, reason);
}

const evidenceScript = String.raw`${scriptHead}
set +f
fans() { grep -s '' "$1"/hwmon/hwmon*/fan*_input | sed "s|^$1/hwmon/||" | head -n 15; }
by_cpu() { ps -eo pcpu,pid,user,comm --sort=-pcpu | head -n 8; }
part fans fans "$1"
part cpu by_cpu
`;

async function gather(_options: Options, context: CheckContext): Promise<Evidence[]> {
  const answer = await askHost(context, { script: evidenceScript, values: [sensorFolder], timeoutMs: 5_000 });
  if (!answer.ok) return [];
  return [
    ...evidenceOf('state', 'Fans (turns a minute)', linesOf(answer.sections, 'fans')),
    ...evidenceOf('state', 'Processes by CPU', linesOf(answer.sections, 'cpu')),
  ];
}
