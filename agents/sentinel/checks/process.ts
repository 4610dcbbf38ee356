import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { Duration, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { askHost, linesOf, partFailure } from '#agents/sentinel/probes/host-answer.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { hasLimit, hasLimitFault, someLevels } from '#agents/sentinel/probes/levels-option.ts';
import { patternOption } from '#agents/sentinel/probes/pattern.ts';
import { matching } from '#agents/sentinel/probes/line-count.ts';
import { processScript, removedScript } from '#agents/sentinel/probes/process-script.ts';
import {
  goesBy,
  type HostProcess,
  type LostBinary,
  parseLost,
  parseProcesses,
} from '#agents/sentinel/probes/processes.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { counted, evidenceOf, formatBytes, oneLine } from '#agents/sentinel/probes/text.ts';

const all = 'processes';
const mebibyte = 1_048_576;

const Options = z.strictObject({
  name: z
    .string()
    .regex(/^[^/\n\0]{1,255}$/, 'must be a name without a path')
    .optional()
    .describe('Name of the program, such as nginx. Without name and pattern all processes of the host are looked at.'),
  pattern: patternOption().optional().describe('Regular expression that is searched for in the whole command line.'),
  atLeast: z.number().int().min(0).default(1).describe('So many have to run.'),
  atMost: z.number().int().min(0).optional().describe('So many may run. Absent: any number.'),
  memory: someLevels().refine(hasLimit, hasLimitFault).optional().describe('MiB of memory of all that match together.'),
  cpu: someLevels()
    .refine(hasLimit, hasLimitFault)
    .optional()
    .describe('Percent of one CPU that all that match take together, since the last look.'),
  openFiles: someLevels({ warning: 80, critical: 95 })
    .optional()
    .describe('Percent of its limit of open files. Needs root or the owner.'),
  oldest: Duration.optional().describe('None may run for longer, as a job that hangs does.'),
  zombies: z
    .number()
    .int()
    .min(1)
    .default(50)
    .describe('Ended processes that nobody collects, of the whole host, where a warning begins.'),
  ignore: z
    .array(z.string().max(300))
    .max(100)
    .default([])
    .describe('Programs whose file may be gone, as paths; `*` stands for any text.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'process',
  about: 'Processes by name: how many, memory, CPU, age, open files; programs that run although their file is gone.',
  options: Options,
  reach: 'host',
  resourceOf,
  observe,
  evidence: { about: 'the processes that take most memory, and packages that were removed', gather },
});

function resourceOf({ name, pattern }: Options): string {
  return oneLine(name ?? (pattern === undefined ? all : `/${pattern}/`), 200);
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const said = { condition: 'process-missing', resource: resourceOf(options) };
  const answer = await askHost(context, { script: processScript, maximumOutputBytes: 8 * mebibyte });
  if (!answer.ok) return [unseen(said, answer.reason)];
  const processes = parseProcesses(answer.sections);
  if (processes === undefined || processes.length === 0) {
    return [unseen(said, partFailure(answer.sections.get('stats'), 'reading /proc'))];
  }
  const lost = parseLost(linesOf(answer.sections, 'lost')).filter(({ path }) => !matchesAny(path, options.ignore));
  if (options.name === undefined && options.pattern === undefined) {
    return [...wholeHost(processes, options), ...lostObservations(lost)];
  }
  const found = matchingProcesses(processes, options);
  if (found === undefined) return [unseen(said, 'the expression takes too long to match')];
  const pids = new Set(found.map(({ pid }) => pid));
  return [
    ...countObservations(found, options),
    ...useObservations(found, { options, context }),
    ...(await fileObservations(found, { options, context })),
    ...lostObservations(lost.filter(({ pid }) => pids.has(pid))),
  ];
}

/** Zombies have no command line and are never what is looked for; nor is the shell of this very look. */
function matchingProcesses(processes: readonly HostProcess[], options: Options): HostProcess[] | undefined {
  const { name, pattern } = options;
  const alive = processes.filter(
    ({ state, command }) => state !== 'Z' && !command.startsWith('sh -c  export LC_ALL=C'),
  );
  const named = name === undefined ? alive : alive.filter((process) => goesBy(process, name));
  if (pattern === undefined) return named;
  const lines = named.map((process) => ({ at: 0, text: process.command, process }));
  return matching(lines, new RegExp(pattern, 'u'))?.map(({ process }) => process);
}

function wholeHost(processes: readonly HostProcess[], { zombies }: Options): Observation[] {
  const dead = processes.filter(({ state }) => state === 'Z');
  return [
    level({
      condition: 'process-zombies',
      resource: all,
      summary: `looked at ${processes.length} processes, ${counted(dead.length, 'zombie')}`,
      value: dead.length,
      unit: 'processes',
      bad: 'above',
      warning: zombies,
    }),
  ];
}

function countObservations(found: readonly HostProcess[], options: Options): Observation[] {
  const resource = resourceOf(options);
  const said = { resource, labels: { process: resource } };
  const limit =
    options.atMost === undefined ? `at least ${options.atLeast}` : `${options.atLeast} to ${options.atMost}`;
  const summary = `${found.length} of ${resource} run (wanted ${limit})`;
  const { atMost } = options;
  return [
    state({
      condition: 'process-missing',
      ...said,
      summary,
      ok: found.length >= options.atLeast,
      severity: 'critical',
    }),
    ...(atMost === undefined
      ? []
      : [state({ condition: 'process-too-many', ...said, summary, ok: found.length <= atMost, severity: 'warning' })]),
  ];
}

interface Of {
  options: Options;
  context: CheckContext;
}

function useObservations(found: readonly HostProcess[], { options, context }: Of): Observation[] {
  const resource = resourceOf(options);
  const said = { resource, labels: { process: resource } };
  const observations: Observation[] = [];
  if (options.memory !== undefined) {
    const bytes = found.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
    const summary = `${found.length} of ${resource} use ${formatBytes(bytes)} of memory`;
    const value = Math.round(bytes / mebibyte);
    observations.push(
      level({ condition: 'process-memory', ...said, summary, value, unit: 'MiB', bad: 'above', ...options.memory }),
    );
  }
  const cpu = cpuPercent(found, context);
  if (options.cpu !== undefined && cpu !== undefined) {
    const summary = `${found.length} of ${resource} take ${cpu.toFixed(0)} % of one CPU`;
    observations.push(
      level({ condition: 'process-cpu', ...said, summary, value: cpu, unit: '%', bad: 'above', ...options.cpu }),
    );
  }
  if (options.oldest !== undefined) {
    const age = Math.max(0, ...found.map(({ ageSeconds }) => ageSeconds)) * 1_000;
    observations.push(
      state({
        condition: 'process-too-old',
        ...said,
        holdMs: 0,
        summary: `the oldest of ${resource} runs for ${formatDuration(Math.round(age / 1_000) * 1_000)} (at most ${formatDuration(options.oldest)})`,
        ok: age <= options.oldest,
        severity: 'warning',
      }),
    );
  }
  return observations;
}

/** Of the time since the look before; those that started since then count from their start. */
function cpuPercent(found: readonly HostProcess[], context: CheckContext): number | undefined {
  const now = context.clock.now();
  const before = context.memory.get('cpu');
  const seconds = Object.fromEntries(found.slice(0, 500).map(({ pid, cpuSeconds }) => [String(pid), cpuSeconds]));
  remember(context.memory, 'cpu', { at: now, seconds });
  if (before === null || typeof before !== 'object' || !('at' in before) || !('seconds' in before)) return undefined;
  const elapsed = (now - Number(before.at)) / 1_000;
  const known = new Map(Object.entries(before.seconds ?? {}).map(([pid, value]) => [pid, Number(value)]));
  if (!(elapsed > 0)) return undefined;
  const used = Object.entries(seconds).map(([pid, value]) => {
    const earlier = known.get(pid) ?? 0;
    // Another process with the pid of one that ended.
    return value >= earlier ? value - earlier : value;
  });
  return (100 * used.reduce((sum, value) => sum + value, 0)) / elapsed;
}

/** The fullest of at most 50. */
async function fileObservations(found: readonly HostProcess[], { options, context }: Of): Promise<Observation[]> {
  if (options.openFiles === undefined || found.length === 0) return [];
  const resource = resourceOf(options);
  const said = { condition: 'process-open-files', resource, labels: { process: resource } };
  const values = found.slice(0, 50).map(({ pid }) => String(pid));
  const answer = await askHost(context, { script: processScript, values });
  if (!answer.ok) return [unseen(said, answer.reason)];
  const shares = linesOf(answer.sections, 'files').flatMap((line) => {
    const [, count, limit] = line.split(' ').map(Number);
    // Without the right to look the folder seems to be empty.
    return count !== undefined && count > 0 && limit !== undefined && limit > 0 ? [{ count, limit }] : [];
  });
  const [first] = shares.toSorted((a, b) => b.count / b.limit - a.count / a.limit);
  if (first === undefined) return [unseen(said, 'only root and their owner may count the open files of processes')];
  return [
    level({
      ...said,
      summary: `one of ${resource} has ${first.count} of ${first.limit} files open`,
      value: Math.round((1_000 * first.count) / first.limit) / 10,
      unit: '%',
      bad: 'above',
      ...options.openFiles,
    }),
  ];
}

/** One a file: a hundred workers of one program are one thing to restart. */
function lostObservations(lost: readonly LostBinary[]): Observation[] {
  const files = new Map<string, LostBinary[]>();
  for (const one of lost) files.set(one.path, [...(files.get(one.path) ?? []), one]);
  return [...files].slice(0, 50).map(([path, of]) => {
    const isGone = of.some((one) => one.isGone);
    const unit = of.find((one) => one.unit !== '-')?.unit;
    const pids = of
      .slice(0, 4)
      .map(({ pid }) => pid)
      .join(', ');
    return state({
      condition: isGone ? 'package-gone' : 'process-deleted-binary',
      resource: path,
      labels: { path: oneLine(path, 300), ...(unit !== undefined && { unit: oneLine(unit, 200) }) },
      summary: isGone
        ? `${path} runs (pid ${pids}) but is no longer on the disk: its package was removed underneath`
        : `${path} was replaced and the old one still runs (pid ${pids}): a restart${unit === undefined ? '' : ` of ${unit}`} brings the new one`,
      ok: false,
      severity: isGone ? 'critical' : 'info',
      holdMs: isGone ? 120_000 : 3_600_000,
    });
  });
}

async function gather(_options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const answer = await askHost(context, { script: removedScript, timeoutMs: 5_000 });
  if (!answer.ok) return [];
  const isGone = observation.condition === 'package-gone';
  return [
    ...evidenceOf(
      'state',
      'Removed packages whose configuration is left (rc)',
      isGone ? linesOf(answer.sections, 'removed') : [],
    ),
    ...evidenceOf('state', 'Processes by memory', linesOf(answer.sections, 'processes')),
  ];
}
