import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { askHost, linesOf, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { asleep, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const all = 'encrypted volumes';

const Options = z.strictObject({
  volumes: z
    .array(z.string().regex(/^[A-Za-z0-9#+._-]{1,127}$/, 'must be the name of a mapping such as cryptdata'))
    .max(100)
    .optional()
    .describe('Mappings that have to be open, as in /dev/mapper. Absent: those of /etc/crypttab without noauto.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'luks',
  about: 'Encrypted volumes (LUKS, dm-crypt) that are locked although they should be open, as after a reboot.',
  options: Options,
  reach: 'host',
  resourceOf: () => all,
  observe,
  evidence: { about: 'the block devices of the host and its units of cryptsetup', gather },
});

/** `dm/name` and `dm/uuid` may be read by anyone; `cryptsetup status` wants root. */
const script = String.raw`${scriptHead}
set +f
mapped() { for d in /sys/block/dm-*/dm; do [ -e "$d/name" ] && echo "$(cat "$d/uuid") $(cat "$d/name")"; done; true; }
table() { [ -e /etc/crypttab ] || return 0; cat /etc/crypttab; }
part mapped mapped
part table table
part sys test -d /sys/block
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const answer = await askHost(context, { script });
  if (!answer.ok) return [blind(answer.reason)];
  if (answer.sections.get('sys')?.code !== 0) return [blind('/sys/block is not there')];
  const table = answer.sections.get('table');
  if (options.volumes === undefined && table?.code !== 0) {
    return [blind('/etc/crypttab may not be read: name the volumes')];
  }
  const open = new Set(linesOf(answer.sections, 'mapped').flatMap(openName));
  const wanted = wantedVolumes(options, table?.text ?? '');
  return [
    state({
      condition: 'volume-locked',
      resource: all,
      summary: `looked at ${counted(wanted.length, 'encrypted volume')}, ${open.size} open`,
      ok: true,
      severity: 'critical',
    }),
    ...wanted.map(({ name, isAuto }) => observeVolume(name, { isOpen: open.has(name), mayRest: !isAuto })),
  ];
}

function wantedVolumes(options: Options, table: string): { name: string; isAuto: boolean }[] {
  if (options.volumes === undefined) return crypttab(table);
  return [...new Set(options.volumes)].map((name) => ({ name, isAuto: true }));
}

function blind(reason: string): Observation {
  return unseen({ condition: 'volume-locked', resource: all }, reason);
}

/** `CRYPT-LUKS2-<id>-name name`; mappings of LVM and others have another prefix. */
function openName(line: string): string[] {
  const match = /^CRYPT-\S* (\S+)$/.exec(line.trim());
  return match?.[1] === undefined ? [] : [match[1]];
}

/** Name, device, key file, options. */
function crypttab(text: string): { name: string; isAuto: boolean }[] {
  const volumes = new Map<string, boolean>();
  for (const line of text.split('\n').slice(0, 500)) {
    const [name, device, , options = ''] = line.trim().split(/\s+/);
    if (name === undefined || name.startsWith('#') || device === undefined) continue;
    volumes.set(name, !options.split(',').includes('noauto'));
  }
  return [...volumes].slice(0, 100).map(([name, isAuto]) => ({ name, isAuto }));
}

function observeVolume(name: string, of: { isOpen: boolean; mayRest: boolean }): Observation {
  const said = { condition: 'volume-locked', resource: name, labels: { volume: name } };
  if (!of.isOpen && of.mayRest)
    return asleep({ ...said, summary: `${name} is locked` }, 'it is opened by hand (noauto)');
  return state({
    ...said,
    summary: of.isOpen ? `${name} is open` : `${name} is locked: what is on it is not there until somebody opens it`,
    ok: of.isOpen,
    severity: 'critical',
    holdMs: 0,
  });
}

const evidenceScript = String.raw`${scriptHead}
part blocks limit 3 lsblk -n -o NAME,TYPE,FSTYPE,SIZE,MOUNTPOINT
part units limit 3 systemctl list-units --no-pager --no-legend --plain --all 'systemd-cryptsetup@*'
`;

async function gather(_options: Options, context: CheckContext): Promise<Evidence[]> {
  const answer = await askHost(context, { script: evidenceScript, timeoutMs: 5_000 });
  if (!answer.ok) return [];
  return ['blocks', 'units'].flatMap((part) =>
    answer.sections.get(part)?.code === 0
      ? evidenceOf('state', part === 'blocks' ? 'Block devices' : 'Units of cryptsetup', linesOf(answer.sections, part))
      : [],
  );
}
