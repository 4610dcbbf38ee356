import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { Duration, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { askHost, linesOf, partFailure, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { parseJournal } from '#agents/sentinel/probes/journal.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';
import { parseTimers, periodOf, rememberStart, type Timer, type TimerMemory } from '#agents/sentinel/probes/timers.ts';

/** A timer may be late by its accuracy and while the machine is busy or slept. */
const graceMs = 10 * 60_000;
const missedPeriods = 2;
const shortestHangMs = 3_600_000;

const TimerName = z
  .string()
  .regex(/^[A-Za-z0-9:_.@\\-]{1,255}\.timer$/, 'must be the name of a timer such as backup.timer');

const Options = z.strictObject({
  timers: z
    .record(TimerName, Duration)
    .default({})
    .describe('Timers that have to be active, and the longest time between two starts: `backup.timer: 26h`.'),
  ignore: z.array(z.string().max(255)).max(200).default([]).describe('Timers to leave out; `*` stands for any text.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'systemd-timer',
  about:
    'Timers of systemd that did not start when they should have, are enabled and not active, or whose job never ends.',
  options: Options,
  reach: 'host',
  resourceOf: () => 'timers',
  observe,
  evidence: { about: 'the plan of the timer and the journal of the timer and its job', gather },
});

// Without an argument, `systemctl show` tells of the manager: that is the block without an Id.
const script = String.raw`${scriptHead}
if ! [ -d /run/systemd/system ]; then part none true; part done true; exit 0; fi
jobs() { systemctl show -p Id,Type,ActiveState,InactiveExitTimestamp --timestamp=unix -- $(systemctl show -p Triggers --value -- '*.timer' | sort -u); }
# The pattern matches active ones only.
enabled=$(systemctl list-unit-files --type=timer --state=enabled --no-legend --no-pager 2>/dev/null | cut -d' ' -f1 | grep -v '@\.timer$')
part now date +%s
part list limit 6 systemctl list-timers --all --no-pager --output=json
part timers limit 6 systemctl show -p Id,LoadState,ActiveState,UnitFileState,ConditionResult,ConditionTimestamp -- '*.timer' $enabled "$@"
part jobs jobs
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const named = Object.keys(options.timers);
  const answer = await askHost(context, { script, values: named });
  const nothing = { condition: 'timer-missed', resource: 'timers' };
  if (!answer.ok) return [unseen(nothing, answer.reason)];
  const { sections } = answer;
  if (sections.has('none')) return [unseen(nothing, 'this host has no systemd')];
  const list = sections.get('list');
  const text = (name: string): string => sections.get(name)?.text ?? '';
  const timers = list?.code === 0 ? parseTimers(list.text, text('timers'), text('jobs')) : undefined;
  if (timers === undefined) return [unseen(nothing, partFailure(list, '"systemctl list-timers --output=json"'))];
  const now = Number(text('now').trim()) * 1_000 || context.clock.now();
  const watched = timers.filter(({ name }) => named.includes(name) || !matchesAny(name, options.ignore));
  const memories = rememberTimers(watched, context);
  return [
    state({
      ...nothing,
      summary: `looked at ${counted(watched.length, 'timer')}, ${watched.filter(({ isActive }) => isActive).length} of them active`,
      ok: true,
      severity: 'warning',
    }),
    ...watched.flatMap((timer) => observeTimer(timer, { options, now, memory: memories.get(timer.name) })),
    ...named.filter((name) => !timers.some((timer) => timer.name === name)).map(absentTimer),
  ];
}

function rememberTimers(timers: readonly Timer[], context: CheckContext): ReadonlyMap<string, TimerMemory> {
  const known = context.memory.get('timers');
  const before = new Map(Object.entries(known !== null && typeof known === 'object' ? known : {}));
  const after = timers.flatMap(({ name, lastAt }) => {
    const memory = rememberStart(before.get(name) as TimerMemory | undefined, lastAt);
    return memory === undefined ? [] : [[name, memory] as const];
  });
  remember(context.memory, 'timers', Object.fromEntries(after.slice(0, 200)));
  return new Map(after);
}

interface At {
  options: Options;
  now: number;
  memory: TimerMemory | undefined;
}

function observeTimer(timer: Timer, at: At): Observation[] {
  const isNamed = Object.hasOwn(at.options.timers, timer.name);
  const late = lateness(timer, at);
  const inactive = !timer.isActive && (isNamed || (timer.isEnabled && !timer.isExempt));
  return [
    ...(late !== undefined || isNamed ? [missedObservation(timer, late, isNamed)] : []),
    ...(inactive || isNamed ? [inactiveObservation(timer, isNamed)] : []),
    ...hangingObservation(timer, at),
  ];
}

/** Why a timer counts as missed, in words. */
function lateness(timer: Timer, at: At): string | undefined {
  const { timers } = at.options;
  const limit = Object.hasOwn(timers, timer.name) ? timers[timer.name] : undefined;
  if (limit !== undefined) return beyondLimit(timer, at.now, limit);
  // While its job runs a timer waits; one that was stopped by its owner is told as inactive.
  if (timer.job.isRunning || !timer.isActive) return undefined;
  return timer.nextAt === undefined ? withoutNext(timer, at) : overdue(timer.nextAt, at.now);
}

function beyondLimit({ lastAt }: Timer, now: number, limit: number): string | undefined {
  if (lastAt === undefined) return 'has not started since it is known';
  const since = now - lastAt;
  return since > limit ? `started last ${agoText(since)} ago, longer than ${formatDuration(limit)}` : undefined;
}

function overdue(nextAt: number, now: number): string | undefined {
  return now > nextAt + graceMs ? `should have started ${agoText(now - nextAt)} ago` : undefined;
}

function withoutNext(timer: Timer, { now, memory }: At): string | undefined {
  const period = periodOf(timer, memory);
  if (period === undefined || timer.lastAt === undefined) return undefined;
  const since = now - timer.lastAt;
  return since > missedPeriods * period + graceMs
    ? `has no next start; it started last ${agoText(since)} ago, usually every ${agoText(period)}`
    : undefined;
}

function agoText(ms: number): string {
  return formatDuration(Math.max(60_000, Math.round(ms / 60_000) * 60_000));
}

function missedObservation(timer: Timer, late: string | undefined, isNamed: boolean): Observation {
  return state({
    condition: 'timer-missed',
    resource: timer.name,
    labels: { unit: timer.name },
    holdMs: 0,
    summary: late === undefined ? `${timer.name} starts when it should` : `${timer.name} ${late}`,
    ok: late === undefined,
    severity: isNamed ? 'critical' : 'warning',
  });
}

function inactiveObservation(timer: Timer, isNamed: boolean): Observation {
  const reason = timer.isEnabled ? 'is enabled and not active: it starts nothing' : 'is not active: it starts nothing';
  return state({
    condition: 'timer-inactive',
    resource: timer.name,
    labels: { unit: timer.name },
    summary: timer.isActive ? `${timer.name} is active` : `${timer.name} ${reason}`,
    ok: timer.isActive,
    severity: isNamed ? 'critical' : 'warning',
  });
}

function hangingObservation(timer: Timer, { now, memory }: At): Observation[] {
  const { since } = timer.job;
  const period = periodOf(timer, memory);
  if (since === undefined || period === undefined) return [];
  const runs = now - since;
  if (runs <= Math.max(shortestHangMs, missedPeriods * period)) return [];
  return [
    state({
      condition: 'timer-job-hangs',
      resource: timer.activates,
      labels: { unit: timer.activates },
      holdMs: 0,
      summary: `${timer.activates} runs since ${agoText(runs)}, so ${timer.name} cannot start it again`,
      ok: false,
      severity: 'warning',
    }),
  ];
}

function absentTimer(name: string): Observation {
  return unseen(
    { condition: 'timer-missed', resource: name, labels: { unit: name } },
    `there is no timer "${name}" loaded: check its name`,
  );
}

const evidenceScript = String.raw`${scriptHead}
job=$(systemctl show -p Triggers --value -- "$1" | head -n 1)
part plan limit 3 systemctl show -p Id,Triggers,ActiveState,UnitFileState,TimersCalendar,TimersMonotonic,Persistent,LastTriggerUSec,NextElapseUSecRealtime,Result -- "$1"
part job limit 3 systemctl show -p Id,ActiveState,Result,ExecMainStatus,ExecMainStartTimestamp,ExecMainExitTimestamp -- $job
part journal limit 4 journalctl --no-pager -q -o json -n 25 --unit="$1" $(for unit in $job; do printf ' --unit=%s' "$unit"; done)
`;

async function gather(_options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const unit = observation.labels?.['unit'];
  if (unit === undefined || unit.startsWith('-')) return [];
  const answer = await askHost(context, { script: evidenceScript, values: [unit], timeoutMs: 5_000 });
  if (!answer.ok) return [];
  const { sections } = answer;
  return [
    ...evidenceOf('state', `The plan of ${unit}`, linesOf(sections, 'plan')),
    ...evidenceOf('state', 'Its job', linesOf(sections, 'job')),
    ...evidenceOf('log', 'Journal of both', parseJournal(sections.get('journal')?.text ?? '')),
  ];
}
