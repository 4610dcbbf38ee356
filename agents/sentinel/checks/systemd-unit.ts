import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { readCommand } from '#agents/sentinel/probes/command-reading.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { parseJournal } from '#agents/sentinel/probes/journal.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember, rememberedTexts } from '#agents/sentinel/probes/remembered.ts';
import { rememberRestarts, restartLimit, restartWindowMs } from '#agents/sentinel/probes/restarts.ts';
import { type Section, splitSections } from '#agents/sentinel/probes/sections.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';
import { unitEvidenceScript, unitScript } from '#agents/sentinel/probes/unit-script.ts';
import {
  failureText,
  harmlessInContainers,
  isAutoRestarting,
  judgeNamed,
  judgeTriggered,
  parseUnits,
  runsWithoutUnit,
  type Unit,
  type UnitVerdict,
} from '#agents/sentinel/probes/units.ts';

const timeoutMs = 30_000;
/** 400 services of 350 bytes and room for more. */
const maximumOutputBytes = 1_048_576;
const allUnits = 'units';

const UnitName = z
  .string()
  .regex(/^[A-Za-z0-9:_.@\\-]{1,255}$/, 'must be the name of a unit such as nginx or backup.timer');

const Options = z.strictObject({
  units: z.array(UnitName).max(200).optional().describe('Units that have to work. Absent: none may have failed.'),
  ignore: z.array(z.string().max(255)).default([]).describe('Units to leave out; `*` stands for any text.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'systemd-unit',
  about:
    'Units that failed, that should run and do not, that start again and again, or that run on after their removal.',
  options: Options,
  reach: 'host',
  resourceOf: () => allUnits,
  observe,
  evidence: { about: 'the journal of the unit and its state', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const names = [...new Set((options.units ?? []).map(fullName))];
  const end = await context.probe.run(['sh', '-c', unitScript, 'sh', ...names], {
    timeoutMs: Math.min(timeoutMs, context.timeoutMs),
    signal: context.signal,
    maximumOutputBytes,
  });
  const answer = readCommand(end);
  if (!answer.ok) return [blind(answer.reason)];
  const sections = splitSections(answer.text);
  if (sections.has('none')) return [];
  const units = sections.get('units');
  if (units === undefined || units.code !== 0) {
    return [blind(units === undefined ? 'the host did not run the script' : lastLine(units, end))];
  }
  return names.length > 0 ? observeNamed(names, sections, context) : observeAll(options, sections, context);
}

function lastLine(section: Section, end: { end: string; output?: { stderr: string } }): string {
  const said = oneLine(end.output?.stderr ?? '', 200);
  return `"systemctl show" ended with status ${section.code}${said === '' ? '' : `: ${said}`}`;
}

/** systemctl takes `nginx` for `nginx.service`; the label is the name that playbooks and people use. */
function fullName(name: string): string {
  return /\.(service|socket|timer|mount|automount|path|target|slice|scope|swap|device)$/.test(name)
    ? name
    : `${name}.service`;
}

function blind(reason: string): Observation {
  return unseen({ condition: 'unit-failed', resource: allUnits }, reason);
}

function observeNamed(names: readonly string[], sections: Sections, context: CheckContext): Observation[] {
  const units = parseUnits(sections.get('units')?.text ?? '');
  const triggered = new Map(parseUnits(sections.get('triggered')?.text ?? '').map((unit) => [unit.id, unit]));
  // Blocks come in the order of the arguments; the name of a block is the unit's first one, not the alias asked for.
  if (units.length !== names.length) return [blind(`asked for ${names.length} units, got ${units.length}`)];
  const seen = new Set(rememberedTexts(context.memory, 'seen'));
  const observations = names.flatMap((name, index): Observation[] => {
    const unit = units[index];
    if (unit === undefined) return [];
    const verdict = verdictOf(unit, triggered);
    if (verdict.is !== 'absent') seen.add(name);
    return [observationOf(name, verdict, seen.has(name))];
  });
  remember(context.memory, 'seen', [...seen].slice(-200));
  const named = new Map(names.map((name, index) => [name, units[index]]));
  return [...observations, ...observeRestarts(named, context)];
}

type Sections = ReadonlyMap<string, Section>;

function verdictOf(unit: Unit, triggered: ReadonlyMap<string, Unit>): UnitVerdict {
  const verdict = judgeNamed(unit);
  if (verdict.is !== 'ok' || !unit.id.endsWith('.timer')) return verdict;
  const started = unit.triggers.map((name) => triggered.get(name)).find((other) => other !== undefined);
  return started === undefined ? verdict : judgeTriggered(started);
}

function observationOf(name: string, verdict: UnitVerdict, wasSeen: boolean): Observation {
  const said = { condition: 'unit-failed', resource: name, labels: { unit: name } };
  const summary = `${name} ${verdict.text}`;
  switch (verdict.is) {
    case 'ok':
      return state({ ...said, summary, ok: true, severity: 'critical' });
    case 'bad':
      return state({ ...said, summary, ok: false, severity: verdict.severity });
    case 'absent':
      return wasSeen
        ? state({ ...said, summary: `${name} was removed`, ok: false, severity: 'critical' })
        : unseen(said, `there is no unit "${name}": check its name`);
  }
}

function observeAll(options: Options, sections: Sections, context: CheckContext): Observation[] {
  const services = parseUnits(sections.get('units')?.text ?? '');
  const failed = sections.get('failed');
  if (failed === undefined || failed.code !== 0) return [blind('"systemctl show --state=failed" did not answer')];
  const ignored = sections.has('container') ? [...options.ignore, ...harmlessInContainers] : options.ignore;
  const isWatched = (unit: Unit): boolean => !matchesAny(unit.id, ignored) && unit.load !== 'not-found';
  const bad = parseUnits(failed.text).filter((unit) => unit.active === 'failed' && isWatched(unit));
  const watched = services.filter(isWatched);
  return [
    state({
      condition: 'unit-failed',
      resource: allUnits,
      summary: `looked at ${counted(watched.length, 'service')}, ${counted(bad.length, 'unit')} failed`,
      ok: true,
      severity: 'warning',
    }),
    ...bad.map((unit) => observationOf(unit.id, { is: 'bad', text: failureText(unit), severity: 'warning' }, true)),
    ...services.filter((unit) => runsWithoutUnit(unit) && !matchesAny(unit.id, ignored)).map(removedObservation),
    ...observeRestarts(new Map(watched.map((unit) => [unit.id, unit])), context),
  ];
}

/** What a package leaves behind that was removed while its service ran: everything answers, until the next restart. */
function removedObservation(unit: Unit): Observation {
  return state({
    condition: 'unit-removed',
    resource: unit.id,
    labels: { unit: unit.id },
    summary: `${unit.id} runs but its unit is no longer there: it will not start again`,
    ok: false,
    severity: 'critical',
  });
}

function observeRestarts(units: ReadonlyMap<string, Unit | undefined>, context: CheckContext): Observation[] {
  const loaded = [...units].flatMap(([name, unit]) => (unit?.load === 'loaded' ? [{ name, unit }] : []));
  const counters = new Map(loaded.map(({ name, unit }) => [name, unit.restarts]));
  const restarts = rememberRestarts(context.memory, counters, context.clock.now());
  return loaded.flatMap(({ name, unit }) => {
    const count = restarts.get(name) ?? 0;
    return count > 0 || isAutoRestarting(unit) ? [restartObservation(name, unit, count)] : [];
  });
}

function restartObservation(name: string, unit: Unit, count: number): Observation {
  const isLoop = count >= restartLimit;
  const isBetween = isAutoRestarting(unit);
  return state({
    condition: 'unit-restarting',
    resource: name,
    labels: { unit: name },
    // The window has held already; a single wait for the next start has not.
    ...(isLoop && { holdMs: 0 }),
    summary:
      `${name} started again ${counted(count, 'time')} within ${restartWindowMs / 60_000} minutes` +
      (isBetween ? ` and ${failureText(unit)}, waiting for its next start` : ''),
    ok: !isLoop && !isBetween,
    severity: 'critical',
  });
}

async function gather(_options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const unit = observation.labels?.['unit'];
  if (unit === undefined || unit.startsWith('-')) return [];
  const end = await context.probe.run(['sh', '-c', unitEvidenceScript, 'sh', unit], {
    timeoutMs: 5_000,
    signal: context.signal,
    maximumOutputBytes: 262_144,
  });
  const answer = readCommand(end);
  if (!answer.ok) return [];
  const sections = splitSections(answer.text);
  const lines = (name: string): string[] => sections.get(name)?.text.split('\n') ?? [];
  return [
    ...evidenceOf('log', `Journal of ${unit}`, parseJournal(sections.get('journal')?.text ?? '')),
    ...evidenceOf('state', `systemctl show ${unit}`, lines('status')),
  ];
}
