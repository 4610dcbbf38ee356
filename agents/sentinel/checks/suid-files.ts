import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Change, driftOf } from '#agents/sentinel/probes/drift.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { askHost, linesOf, partFailure } from '#agents/sentinel/probes/host-answer.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import type { Section } from '#agents/sentinel/probes/sections.ts';
import { ownerScript, suidScript } from '#agents/sentinel/probes/suid-script.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const maximumOutputBytes = 2_097_152;
const shown = 50;
/** Asked for by path at most; the others are told without their package. */
const askedOwners = 20;

const Options = z.strictObject({
  ignore: z
    .array(z.string().startsWith('/').max(500))
    .max(100)
    .default([])
    .describe('Paths to leave out; `*` stands for any text.'),
  quietAfter: durationOr('24h').describe('A change that stays so long is usual from then on; 0s: it never is.'),
});
type Options = z.output<typeof Options>;
type Sections = ReadonlyMap<string, Section>;

export const check = defineCheck({
  kind: 'suid-files',
  about:
    'New or changed programs that run with the rights of their owner or with a capability. Walks the local disks: look daily, with a `timeout` of minutes.',
  options: Options,
  reach: 'host',
  resourceOf: () => 'files',
  observe,
  evidence: { about: 'the package that owns the file, when it changed and what dpkg did lately', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const seconds = Math.max(2, Math.floor(context.timeoutMs / 2_000));
  const answer = await askHost(context, { script: suidScript, values: [String(seconds)], maximumOutputBytes });
  const nothing = { condition: 'suid-file-changed', resource: 'files' };
  if (!answer.ok) return [unseen(nothing, answer.reason)];
  const { sections } = answer;
  const fault = faultOf(sections, seconds);
  if (fault !== undefined) return [unseen(nothing, fault)];
  const values = parseFiles(sections, options.ignore);
  const drift = driftOf(context.memory, 'files', { values, at: context.clock.now(), quietAfterMs: options.quietAfter });
  if (drift === undefined) {
    return [unseen(nothing, `${counted(values.size, 'file')}: more than are remembered, leave some out with "ignore"`)];
  }
  const told = drift.changes.slice(0, shown);
  const packages = told.length === 0 ? new Map<string, Owner>() : await ownersOf(told, context);
  return [
    state({
      ...nothing,
      summary: `${counted(values.size, 'file')} with the rights of another or a capability on ${counted(linesOf(sections, 'mounts').length, 'file system')}`,
      ok: true,
      severity: 'info',
    }),
    ...told.map((change) => observeChange(change, packages.get(pathOf(change)))),
  ];
}

function faultOf(sections: Sections, seconds: number): string | undefined {
  const [mounts, files, caps] = [sections.get('mounts'), sections.get('files'), sections.get('caps')];
  if (linesOf(sections, 'mounts').length === 0) return partFailure(mounts, 'the list of file systems');
  for (const part of [files, caps]) {
    if (part?.code === 124 || part?.code === 137) {
      return `the disks were not walked within ${seconds}s: raise the "timeout" of this check`;
    }
  }
  return files?.code === 0 ? undefined : partFailure(files, 'find');
}

/** `file:PATH` with mode, owner and content, `cap:PATH` with the capabilities. */
function parseFiles(sections: Sections, ignore: readonly string[]): Map<string, string> {
  const sums = new Map(
    linesOf(sections, 'sums').flatMap((line) => {
      const [, sum = '', path] = /^([0-9a-f]{64}) [ *](\/.+)$/.exec(line) ?? [];
      return path === undefined ? [] : [[path, sum.slice(0, 10)] as const];
    }),
  );
  const values = new Map<string, string>();
  for (const line of linesOf(sections, 'files')) {
    const [, mode, user, group, size, path = ''] =
      /^([0-7]{4,5}):([^:]+):([^:]+):(\d+):(\/.{1,1000})$/.exec(line) ?? [];
    if (mode === undefined || matchesAny(path, ignore)) continue;
    values.set(`file:${path}`, `${mode} ${user}:${group} ${sums.get(path) ?? size}`);
  }
  for (const line of linesOf(sections, 'caps')) {
    // libcap before 2.41 writes `PATH = CAPS`.
    const [, path = '', caps] = /^(\/.{1,1000}?)(?: =)? (cap_\S+|=\S+)$/.exec(line) ?? [];
    if (caps !== undefined && !matchesAny(path, ignore)) values.set(`cap:${path}`, caps);
  }
  return values;
}

interface Owner {
  package: string;
  isRecent: boolean;
}

function pathOf(change: Change): string {
  return change.name.slice(change.name.indexOf(':') + 1);
}

async function ownersOf(changes: readonly Change[], context: CheckContext): Promise<Map<string, Owner>> {
  const paths = [...new Set(changes.map(pathOf))].slice(0, askedOwners);
  const answer = await askHost(context, { script: ownerScript, values: paths, timeoutMs: 10_000 });
  if (!answer.ok) return new Map();
  const recent = linesOf(answer.sections, 'recent').map((line) => line.split(' ')[3]?.split(':')[0]);
  return new Map(
    linesOf(answer.sections, 'owners').flatMap((line) => {
      const [, name, path] = /^([a-z0-9][a-z0-9+.-]*) (\/.+)$/.exec(line) ?? [];
      return name === undefined || path === undefined
        ? []
        : [[path, { package: name, isRecent: recent.includes(name) }]];
    }),
  );
}

/** What a package brought with an upgrade is news; what nobody owns, or what changed without dpkg, is trouble. */
function observeChange(change: Change, owner: Owner | undefined): Observation {
  const path = pathOf(change);
  const isCapability = change.name.startsWith('cap:');
  const isGone = change.is === undefined;
  const isExpected = isGone || owner?.isRecent === true;
  const by =
    owner === undefined
      ? ', of no package'
      : owner.isRecent
        ? ` with package ${owner.package}`
        : `, of package ${owner.package}, which dpkg did not touch`;
  return state({
    condition: isCapability ? 'file-capability-changed' : 'suid-file-changed',
    resource: path,
    labels: { path: oneLine(path, 200), ...(owner !== undefined && { package: owner.package }) },
    holdMs: 0,
    summary: `${oneLine(path, 200)} ${textOf(change)}${isGone ? '' : by}`,
    ok: false,
    severity: isExpected ? 'info' : change.was === undefined && owner === undefined ? 'critical' : 'warning',
  });
}

function textOf({ was, is }: Change): string {
  if (is === undefined) return `is no longer there or lost its rights (${was})`;
  return was === undefined ? `is new (${is})` : `changed from ${was} to ${is}`;
}

async function gather(_options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const path = observation.labels?.['path'];
  if (path?.startsWith('/') !== true) return [];
  const answer = await askHost(context, { script: ownerScript, values: [path], timeoutMs: 5_000 });
  if (!answer.ok) return [];
  const { sections } = answer;
  return [
    ...evidenceOf('state', 'The file', [...linesOf(sections, 'files'), ...linesOf(sections, 'owners')]),
    ...evidenceOf('change', 'What dpkg did lately', linesOf(sections, 'recent')),
  ];
}
