import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { askHost, linesOf, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { type RaidArray, parseMdstat } from '#agents/sentinel/probes/mdstat.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const all = 'arrays';

const Options = z.strictObject({
  arrays: z
    .array(z.string().regex(/^[A-Za-z0-9_.:-]{1,64}$/, 'must be the name of an array such as md0'))
    .max(50)
    .default([])
    .describe('Arrays that have to be there, such as md0.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'raid',
  about: 'Software RAID of Linux (mdadm): arrays that are degraded, inactive, missing or being rebuilt.',
  options: Options,
  reach: 'host',
  resourceOf: () => all,
  observe,
  evidence: { about: 'the state of all arrays and the last lines of the kernel about disks', gather },
});

const script = String.raw`${scriptHead}
part mdstat cat /proc/mdstat
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const answer = await askHost(context, { script });
  if (!answer.ok) return [blind(answer.reason)];
  const section = answer.sections.get('mdstat');
  if (section?.code !== 0 || !/^Personalities/m.test(section.text)) {
    return [blind('/proc/mdstat is not there: this kernel has no software RAID')];
  }
  const arrays = parseMdstat(section.text);
  return [
    state({
      condition: 'raid-missing',
      resource: all,
      summary: `looked at ${counted(arrays.length, 'array')}`,
      ok: true,
      severity: 'critical',
    }),
    ...missing(options, arrays),
    ...arrays.flatMap(observeArray),
  ];
}

function blind(reason: string): Observation {
  return unseen({ condition: 'raid-missing', resource: all }, reason);
}

function missing(options: Options, arrays: readonly RaidArray[]): Observation[] {
  const found = new Set(arrays.map(({ name }) => name));
  return [...new Set(options.arrays)].map((name) =>
    state({
      condition: 'raid-missing',
      resource: name,
      labels: { array: name },
      summary: found.has(name) ? `array ${name} is assembled` : `array ${name} is not assembled`,
      ok: found.has(name),
      severity: 'critical',
    }),
  );
}

function observeArray(array: RaidArray): Observation[] {
  const { name } = array;
  const said = { resource: name, labels: { array: name } };
  const failed = array.failed.length === 0 ? '' : `, failed: ${array.failed.join(', ')}`;
  const members = array.wanted === undefined ? '' : ` with ${array.present ?? 0} of ${array.wanted} disks`;
  const isDegraded = array.failed.length > 0 || (array.wanted ?? 0) > (array.present ?? 0);
  const isWell = array.isActive && !isDegraded;
  const found = [
    state({
      condition: 'raid-degraded',
      ...said,
      summary: `array ${name} (${array.level}) is ${array.isActive ? 'active' : 'inactive'}${members}${failed}`,
      ok: isWell,
      severity: 'critical',
      holdMs: 0,
    }),
  ];
  if (array.isReadOnly) {
    const summary = `array ${name} is read-only`;
    found.push(state({ condition: 'raid-read-only', ...said, summary, ok: false, severity: 'warning' }));
  }
  if (array.work === undefined) return found;
  // A check is the monthly routine; a recovery is the time in which the next failing disk costs the data.
  const isRoutine = /^(?:check|resync)$/.test(array.work.what);
  return [
    ...found,
    state({
      condition: 'raid-rebuilding',
      ...said,
      summary: `array ${name}: ${array.work.what} at ${array.work.percent} %, ${array.work.left} left`,
      ok: isRoutine,
      severity: 'info',
    }),
  ];
}

const evidenceScript = String.raw`${scriptHead}
kernel() { limit 3 journalctl -k --no-pager -o short-iso -n 3000 2>/dev/null | grep -E 'md/|md[0-9]|ata[0-9]|I/O error|blk_update|nvme' | tail -n 20; }
part mdstat cat /proc/mdstat
part kernel kernel
`;

async function gather(_options: Options, context: CheckContext): Promise<Evidence[]> {
  const answer = await askHost(context, { script: evidenceScript, timeoutMs: 5_000 });
  if (!answer.ok) return [];
  return [
    ...evidenceOf('state', '/proc/mdstat', linesOf(answer.sections, 'mdstat')),
    ...evidenceOf('log', 'Kernel about disks', linesOf(answer.sections, 'kernel')),
  ];
}
