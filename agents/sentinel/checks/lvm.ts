import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { asRootHead, isRefused, rootHint, sudoOption, sudoValue } from '#agents/sentinel/probes/as-root.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { askHost, linesOf, partFailure, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { levels } from '#agents/sentinel/probes/levels-option.ts';
import { observeDisks, observeGroup, observeVolume, parseLvmReport } from '#agents/sentinel/probes/lvm.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import type { Section } from '#agents/sentinel/probes/sections.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const all = 'volume groups';
const arguments_ = {
  vgs: '--reportformat json --units b --nosuffix -o vg_name,vg_size,vg_free,vg_missing_pv_count',
  lvs: '-a --reportformat json --units b --nosuffix -o vg_name,lv_name,lv_attr,lv_size,data_percent,metadata_percent,lv_health_status,origin',
  pvs: '--reportformat json --units b --nosuffix -o pv_name,vg_name,pv_missing',
};
const commands = Object.entries(arguments_).map(([name, words]) => `/usr/sbin/${name} ${words}`);

const Options = z.strictObject({
  groups: z
    .array(z.string().min(1).max(127))
    .max(100)
    .optional()
    .describe('Volume groups that have to be there. Absent: all that are found.'),
  ignore: z
    .array(z.string().max(255))
    .max(100)
    .default([])
    .describe('Volumes `group/name` to leave out; `*` stands for any text.'),
  data: levels({ warning: 80, critical: 95 }).prefault({}).describe('Percent of a thin pool or snapshot that is used.'),
  metadata: levels({ warning: 70, critical: 80 })
    .prefault({})
    .describe('Percent of the metadata of a thin pool that is used: at 100 the pool stops.'),
  free: z.number().nonnegative().default(0).describe('GiB that have to be free in each group; 0 asks for none.'),
  sudo: sudoOption(commands),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'lvm',
  about: 'LVM: thin pools and snapshots that fill, missing physical volumes, volumes that are sick, space of groups.',
  options: Options,
  reach: 'host',
  resourceOf: () => all,
  observe,
  evidence: { about: 'the volumes of the group and the last lines of the kernel about device-mapper', gather },
});

/** Without its own descriptors closed lvm2 complains about each; nothing of it takes a lock longer than its listing. */
const script = String.raw`${scriptHead}${asRootHead}
export LVM_SUPPRESS_FD_WARNINGS=1
part vgs as_root vgs ${arguments_.vgs}
part lvs as_root lvs ${arguments_.lvs}
part pvs as_root pvs ${arguments_.pvs}
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const answer = await askHost(context, { script, values: [sudoValue(options.sudo)] });
  if (!answer.ok) return [blind(answer.reason)];
  const reports = (['vgs', 'lvs', 'pvs'] as const).map((name) => reportOf(answer.sections.get(name), name));
  const failed = reports.find((report) => 'reason' in report);
  if (failed !== undefined && 'reason' in failed) return [blind(failed.reason)];
  const groups = reports.flatMap((report) => ('groups' in report ? report.groups : []));
  const volumes = reports.flatMap((report) => ('volumes' in report ? report.volumes : []));
  const disks = reports.flatMap((report) => ('disks' in report ? report.disks : []));
  const isWatched = (name: string): boolean => options.groups?.includes(name) ?? true;
  const watched = groups.filter(({ vg_name }) => isWatched(vg_name));
  const found = volumes
    .filter(({ vg_name, lv_name }) => isWatched(vg_name) && !matchesAny(`${vg_name}/${lv_name}`, options.ignore))
    .flatMap((volume) => observeVolume(volume, options));
  return [
    state({
      condition: 'lvm-group-missing',
      resource: all,
      summary: `looked at ${counted(watched.length, 'volume group')} and ${counted(volumes.length, 'volume')}`,
      ok: true,
      severity: 'critical',
    }),
    ...missingGroups(options, new Set(watched.map(({ vg_name }) => vg_name))),
    ...watched.flatMap((group) => [...observeGroup(group, options), observeDisks(group, disks)]),
    ...found,
  ];
}

function blind(reason: string): Observation {
  return unseen({ condition: 'lvm-group-missing', resource: all }, reason);
}

function reportOf(section: Section | undefined, name: string) {
  const text = section?.text ?? '';
  // As an ordinary user lvm2 prints an empty list, a warning, and ends with 5.
  if (isRefused(text)) return { reason: rootHint('the volumes') };
  if (section === undefined || section.code === 127) return { reason: `"${name}" is not installed` };
  const report = parseLvmReport(text);
  if (report === undefined) return { reason: partFailure(section, `"${name}"`) };
  // A missing disk is told in the report and ends the command with 5 all the same.
  const isEmpty = report.groups.length + report.volumes.length + report.disks.length === 0;
  return section.code !== 0 && isEmpty ? { reason: partFailure(section, `"${name}"`) } : report;
}

function missingGroups(options: Options, found: ReadonlySet<string>): Observation[] {
  return [...new Set(options.groups ?? [])].map((name) =>
    state({
      condition: 'lvm-group-missing',
      resource: name,
      labels: { group: name },
      summary: found.has(name) ? `volume group ${name} is there` : `volume group ${name} is not there`,
      ok: found.has(name),
      severity: 'critical',
    }),
  );
}

const evidenceScript = String.raw`${scriptHead}${asRootHead}
export LVM_SUPPRESS_FD_WARNINGS=1
volumes() { as_root lvs ${arguments_.lvs} 2>/dev/null | grep lv_name; }
kernel() { limit 3 journalctl -k --no-pager -o short-iso -n 2000 2>/dev/null | grep -E 'device-mapper|lvm|thin' | tail -n 15; }
part volumes volumes
part kernel kernel
`;

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const answer = await askHost(context, {
    script: evidenceScript,
    values: [sudoValue(options.sudo)],
    timeoutMs: 5_000,
  });
  if (!answer.ok) return [];
  return [
    ...evidenceOf('state', 'Volumes', linesOf(answer.sections, 'volumes')),
    ...evidenceOf('log', 'Kernel about device-mapper', linesOf(answer.sections, 'kernel')),
  ];
}
