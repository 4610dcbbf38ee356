import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import {
  named,
  observeAutomatic,
  observeDatabase,
  observeLists,
  observeReboot,
  observeRelease,
  observeRemoved,
  observeRestarts,
  parseStates,
  type Sections,
} from '#agents/sentinel/probes/apt.ts';
import { aptEvidenceScript, aptScript } from '#agents/sentinel/probes/apt-script.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { askHost, linesOf, partFailure } from '#agents/sentinel/probes/host-answer.ts';
import { parseJournal } from '#agents/sentinel/probes/journal.ts';
import { spans } from '#agents/sentinel/probes/levels-option.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember, rememberedTexts } from '#agents/sentinel/probes/remembered.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';
import { isPendingUpdates, observeUpdates, parseUpdates, rememberUpdates } from '#agents/sentinel/probes/updates.ts';

/** 4,000 packages of 40 bytes, and as much again. */
const maximumOutputBytes = 1_048_576;
const secondsForApt = '20';

const Options = z.strictObject({
  security: spans({ warning: '3d', critical: '14d' })
    .prefault({})
    .describe('Age of a pending security update; a younger one is information.'),
  listsWarning: durationOr('8d').describe('Age of the package lists where a warning begins.'),
  rebootWarning: durationOr('7d').describe('A needed reboot is information before and a warning after.'),
  watch: z
    .array(z.string().min(1).max(200))
    .max(100)
    .default([])
    .describe('Packages that must not be removed; `*` stands for any text. Their programs run on after a removal.'),
  automatic: z.boolean().default(false).describe('Whether unattended-upgrades has to be on.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'apt-updates',
  about:
    'Pending and security updates of apt with their age, old lists, broken or removed packages, a needed reboot, the end of the release.',
  options: Options,
  reach: 'host',
  resourceOf: () => 'packages',
  observe,
  evidence: { about: 'the pending packages, the history of apt and what the automatic updates said', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const answer = await askHost(context, { script: aptScript, values: [secondsForApt], maximumOutputBytes });
  const nothing = { condition: 'security-updates', resource: 'packages' };
  if (!answer.ok) return [unseen(nothing, answer.reason)];
  const { sections } = answer;
  if (sections.has('none')) return [unseen(nothing, 'there is no apt on this host')];
  // Its own clock wrote the times of its files.
  const seconds = Number(sections.get('now')?.text.trim());
  const now = Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : context.clock.now();
  return [
    ...pendingObservations(options, sections, context),
    observeDatabase(sections),
    ...removedObservations(options, sections, context),
    ...observeLists(sections, { now, limitMs: options.listsWarning }),
    ...observeReboot(sections, { now, warningMs: options.rebootWarning }),
    ...observeRestarts(sections),
    ...observeAutomatic(sections, options.automatic),
    ...observeRelease(sections, now),
  ];
}

function pendingObservations(options: Options, sections: Sections, context: CheckContext): Observation[] {
  const section = sections.get('pending');
  if (section === undefined || section.code !== 0) {
    const reason = partFailure(section, '"apt-get -s dist-upgrade"');
    return [unseen({ condition: 'security-updates', resource: 'packages' }, reason)];
  }
  const now = context.clock.now();
  const known = context.memory.get('updates');
  const found = parseUpdates(section.text);
  const pending = rememberUpdates(isPendingUpdates(known) ? known : undefined, found, now);
  remember(context.memory, 'updates', { ...pending, at: 0 });
  const held = linesOf(sections, 'held').filter((line) => /^[a-z0-9][a-z0-9+.:-]*$/.test(line));
  const others = found.total - found.security.length;
  const also = held.length === 0 ? '' : `, held back: ${named(held)}`;
  return [
    observeUpdates(pending, now, { warningMs: options.security.warning, criticalMs: options.security.critical }),
    state({
      condition: 'updates-pending',
      resource: 'packages',
      summary: `${counted(Math.max(0, others), 'other update')} pending${also}`,
      ok: true,
      severity: 'info',
    }),
  ];
}

/** What matches a watched name and was seen installed stays watched when dpkg has forgotten it altogether. */
function removedObservations(options: Options, sections: Sections, context: CheckContext): Observation[] {
  if (options.watch.length === 0 || sections.get('states')?.code !== 0) return [];
  const seen = new Set(rememberedTexts(context.memory, 'watched'));
  for (const [name, abbreviation] of parseStates(sections.get('states')?.text ?? '')) {
    if (abbreviation.startsWith('ii') && matchesAny(name, options.watch)) seen.add(name);
  }
  remember(context.memory, 'watched', [...seen].toSorted().slice(0, 100));
  const absent = options.watch.filter((name) => !name.includes('*'));
  return observeRemoved(sections, options.watch, new Set([...seen, ...absent]));
}

async function gather(_options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const answer = await askHost(context, { script: aptEvidenceScript, timeoutMs: 5_000 });
  if (!answer.ok) return [];
  const { sections } = answer;
  const pending = linesOf(sections, 'pending');
  const security = pending.filter((line) => parseUpdates(line).security.length > 0);
  const isAboutUpdates = observation.condition === 'security-updates';
  return [
    ...evidenceOf('state', 'Pending packages', isAboutUpdates && security.length > 0 ? security : pending),
    ...evidenceOf('state', 'dpkg --audit', linesOf(sections, 'audit')),
    ...evidenceOf('change', 'What apt did last', linesOf(sections, 'history')),
    ...evidenceOf('log', 'Automatic updates', linesOf(sections, 'automatic')),
    ...evidenceOf('log', 'Journal of apt-daily', parseJournal(sections.get('journal')?.text ?? '')),
  ];
}
