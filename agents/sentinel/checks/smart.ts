import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { asRootHead, isRefused, rootHint, sudoOption, sudoValue } from '#agents/sentinel/probes/as-root.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { askHost, linesOf, partFailure, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { levels } from '#agents/sentinel/probes/levels-option.ts';
import { asleep, state, unseen } from '#agents/sentinel/probes/reading.ts';
import type { Section } from '#agents/sentinel/probes/sections.ts';
import { observeDisk, parseSmart, type SmartLimits } from '#agents/sentinel/probes/smart.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const all = 'disks';
const maximumDisks = 24;
/** No `*`: in sudoers it would stand for further arguments as well, and some of smartctl's change the disk. */
const commands = ['/usr/sbin/smartctl --json=c -n standby,3 -a -d auto /dev/sda'];

/** `sda` or `/dev/sda`. */
const Device = z
  .string()
  .regex(/^(?:\/dev\/)?[A-Za-z0-9][A-Za-z0-9/_.:-]{0,200}$/, 'must be a device such as /dev/sda')
  .transform((name) => (name.startsWith('/') ? name : `/dev/${name}`));

const Options = z.strictObject({
  devices: z
    .array(Device)
    .max(maximumDisks)
    .optional()
    .describe(
      'Disks to look at. Absent: those that smartctl finds; with `sudo` name them, and allow a command for each.',
    ),
  ignore: z.array(z.string().max(255)).max(50).default([]).describe('Disks to leave out; `*` stands for any text.'),
  temperature: levels({ warning: 45, critical: 55, most: 200 })
    .prefault({})
    .describe('Degrees Celsius of a disk; for NVMe 25 more. Lasts 10 minutes before it fires.'),
  wear: levels({ warning: 80, critical: 95, most: 200 })
    .prefault({})
    .describe('Percent of its life that an NVMe disk has used.'),
  selfTest: durationOr('0s').describe(
    'Time of operation since the last self-test where a warning begins; 0s asks for none.',
  ),
  sudo: sudoOption(commands),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'smart',
  about: 'SMART of disks: failing, bad sectors, wear, temperature and self-tests. Wakes no disk that sleeps.',
  options: Options,
  reach: 'host',
  resourceOf: () => all,
  observe,
  evidence: { about: 'the last lines of the kernel about the disk', gather },
});

/**
 * The first argument after that of `as_root` is empty to scan; others are devices. A disk in standby is not woken: it
 * ends with 3. Names of a scan come from smartctl; only such as look like a device are taken.
 */
const script = String.raw`${scriptHead}${asRootHead}
disk() { as_root smartctl --json=c -n standby,3 -a -d "$1" "$2" 2>&1 | tr -d '\n'; echo; }
scan() { limit 8 smartctl --scan; }
named() { for d in "$@"; do echo "device $d"; disk auto "$d"; done; }
scanned() {
  scan 2>/dev/null | head -n ${maximumDisks} | while read -r d flag type rest; do
    case $d in /dev/*) [ "$flag" = -d ] && { echo "device $d"; disk "$type" "$d"; } ;; esac
  done
}
if [ $# -gt 0 ]; then part disks named "$@"; else part scan scan; part disks scanned; fi
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const values = [sudoValue(options.sudo), ...(options.devices ?? [])];
  const answer = await askHost(context, { script, values });
  if (!answer.ok) return [blind(answer.reason)];
  const disks = answer.sections.get('disks');
  if (options.devices === undefined) {
    const refused = scanFailure(answer.sections.get('scan'));
    if (refused !== undefined) return [blind(refused)];
  }
  const found = disksIn(disks?.text ?? '').filter(({ name }) => !matchesAny(name, options.ignore));
  if (found.length === 0) return [blind(options.devices === undefined ? noDisks : 'smartctl said nothing')];
  const rules: SmartLimits = { ...options, selfTestHours: Math.round(options.selfTest / 3_600_000) };
  const observations = found.flatMap((disk) => observeOne(disk, { rules, isNamed: options.devices !== undefined }));
  // Where not one could be looked at, the whole look failed.
  if (observations.every(({ reading }) => reading.is === 'unknown')) return observations;
  return [
    state({
      condition: 'disk-failing',
      resource: all,
      summary: `looked at ${counted(found.length, 'disk')}`,
      ok: true,
      severity: 'critical',
    }),
    ...observations,
  ];
}

const noDisks = 'smartctl finds no disks here: name them, or look on the machine that has them';

function blind(reason: string): Observation {
  return unseen({ condition: 'disk-failing', resource: all }, reason);
}

function scanFailure(section: Section | undefined): string | undefined {
  if (section === undefined || section.code === 127) return '"smartctl" is not installed (package smartmontools)';
  if (isRefused(section.text)) return rootHint('the disks');
  return section.code === 0 ? undefined : partFailure(section, '"smartctl --scan"');
}

function disksIn(text: string): { name: string; said: string }[] {
  const blocks = text.split(/^device (?=\/dev\/)/m).slice(1, maximumDisks + 1);
  const disks = blocks.map((block) => {
    const [name = '', ...said] = block.split('\n');
    return { name: name.trim(), said: said.join('\n').trim() };
  });
  return [...new Map(disks.map((disk) => [disk.name, disk])).values()];
}

function observeOne(
  { name, said }: { name: string; said: string },
  { rules, isNamed }: { rules: SmartLimits; isNamed: boolean },
): Observation[] {
  const about = { condition: 'disk-failing', resource: name, labels: { device: name } };
  const parsed = parseSmart(said);
  if (parsed === undefined || (parsed.is === 'silent' && isRefused(parsed.reason))) {
    if (/not found/.test(said)) return [unseen(about, '"smartctl" is not installed (package smartmontools)')];
    return [
      unseen(about, isRefused(said) ? rootHint('the disks') : 'smartctl did not answer in JSON (7.0 or later does)'),
    ];
  }
  switch (parsed.is) {
    case 'asleep':
      return [asleep({ ...about, summary: `${name} sleeps` }, 'it is in standby and is not woken')];
    case 'silent':
      // Nobody asked for this one: a virtual disk, a card reader.
      return isNamed
        ? [unseen(about, parsed.reason)]
        : [asleep({ ...about, summary: `${name} has no SMART` }, parsed.reason)];
    case 'read':
      return observeDisk(name, parsed.disk, rules);
  }
}

const evidenceScript = String.raw`${scriptHead}
kernel() { limit 4 journalctl -k --no-pager -o short-iso -n 5000 2>/dev/null | grep -F -e "$1" -e 'I/O error' -e 'ata' | tail -n 20; }
part kernel kernel "$1"
`;

async function gather(_options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const device = observation.labels?.['device']?.split('/').at(-1) ?? '';
  if (device === '') return [];
  const answer = await askHost(context, { script: evidenceScript, values: [device], timeoutMs: 5_000 });
  return answer.ok ? evidenceOf('log', `Kernel about ${device}`, linesOf(answer.sections, 'kernel')) : [];
}
