import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { readCommand } from '#agents/sentinel/probes/command-reading.ts';
import {
  clockEvidenceScript,
  clockScript,
  offsetFloor,
  parseHostTime,
  readSynchronisation,
} from '#agents/sentinel/probes/host-clock.ts';
import { parseJournal } from '#agents/sentinel/probes/journal.ts';
import { spans } from '#agents/sentinel/probes/levels-option.ts';
import { asleep, level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { type Section, splitSections } from '#agents/sentinel/probes/sections.ts';
import { evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  offset: spans({ warning: '1s', critical: '30s' })
    .prefault({})
    .describe('Certain difference to the clock of this machine.'),
  synchronised: z.boolean().default(true).describe('Whether a time service must keep the clock right.'),
  unsynchronisedFor: durationOr('10m').describe(
    'How long it may be without, as after a start, before it is a warning.',
  ),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'clock',
  about: 'Whether the clock of a host is right and a time service keeps it so (systemd-timesyncd, chrony or ntpd).',
  options: Options,
  reach: 'host',
  resourceOf: () => 'clock',
  observe,
  evidence: { about: 'the sources of the time service and its journal', gather },
});

const resource = 'clock';

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const offset = { condition: 'clock-offset', resource };
  const beganAt = context.clock.now();
  const end = await context.probe.run(['sh', '-c', clockScript, 'sh'], {
    timeoutMs: context.timeoutMs,
    signal: context.signal,
  });
  const endedAt = context.clock.now();
  const answer = readCommand(end);
  if (!answer.ok) return [unseen(offset, answer.reason)];
  const sections = splitSections(answer.text);
  const first = parseHostTime(sections.get('before')?.text ?? '');
  const last = parseHostTime(sections.get('after')?.text ?? '');
  if (first === undefined || last === undefined) return [unseen(offset, 'the host did not tell its time')];
  const floorMs = offsetFloor({ first, last }, { beganAt, endedAt });
  return [
    level({
      ...offset,
      summary: offsetText(floorMs, endedAt - beganAt),
      value: Math.abs(floorMs) / 1_000,
      unit: 's',
      bad: 'above',
      warning: options.offset.warning / 1_000,
      critical: options.offset.critical / 1_000,
    }),
    ...(options.synchronised ? [observeService(options, sections)] : []),
  ];
}

function offsetText(floorMs: number, roundTripMs: number): string {
  if (floorMs === 0) return `the clock agrees with this machine's, as far as ${Math.round(roundTripMs)} ms of way tell`;
  return `the clock is ${(Math.abs(floorMs) / 1_000).toFixed(1)} s ${floorMs > 0 ? 'ahead' : 'behind'}`;
}

function observeService(options: Options, sections: ReadonlyMap<string, Section>): Observation {
  const said = { condition: 'clock-unsynchronised', resource };
  const text = (name: string): string => sections.get(name)?.text ?? '';
  const found = readSynchronisation({ tracking: text('tracking'), timedatectl: text('timedatectl') });
  // A container has the clock of its machine and may not set it.
  const isContainer = sections.has('container');
  if (isContainer && found?.isSynchronised !== true) {
    return asleep(
      { ...said, summary: 'the machine below keeps the clock' },
      'a container has the clock of its machine',
    );
  }
  if (found === undefined) return unseen(said, 'neither timedatectl nor chronyc tells whether the clock is kept right');
  return state({
    ...said,
    summary: found.isSynchronised
      ? `the clock is kept right: ${found.text}`
      : `nothing keeps the clock right: ${found.text}`,
    ok: found.isSynchronised,
    severity: 'warning',
    holdMs: options.unsynchronisedFor,
  });
}

async function gather(_options: Options, context: CheckContext): Promise<Evidence[]> {
  const end = await context.probe.run(['sh', '-c', clockEvidenceScript, 'sh'], {
    timeoutMs: 5_000,
    signal: context.signal,
    maximumOutputBytes: 131_072,
  });
  const answer = readCommand(end);
  if (!answer.ok) return [];
  const sections = splitSections(answer.text);
  const lines = (name: string): string[] => sections.get(name)?.text.split('\n') ?? [];
  return [
    ...evidenceOf('state', 'Time service', [...lines('sources'), ...lines('tracking'), ...lines('timesync')]),
    ...evidenceOf('log', 'Journal of the time service', parseJournal(sections.get('journal')?.text ?? '')),
  ];
}
