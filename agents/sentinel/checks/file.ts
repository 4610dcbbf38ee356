import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { Duration, durationOr, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { contentObservations } from '#agents/sentinel/probes/file-content.ts';
import { fileScript } from '#agents/sentinel/probes/file-script.ts';
import { type FileListing, type FoundFile, parseContents, parseListing } from '#agents/sentinel/probes/files.ts';
import { askHost, linesOf, partFailure } from '#agents/sentinel/probes/host-answer.ts';
import { hasLimit, hasLimitFault } from '#agents/sentinel/probes/levels-option.ts';
import { patternOption } from '#agents/sentinel/probes/pattern.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, formatBytes, oneLine, resourceName, timeText } from '#agents/sentinel/probes/text.ts';

/** One duration is critical; written apart there is a warning before. */
const Age = z.union([
  Duration.transform((critical): AgeLimits => ({ critical })),
  z
    .strictObject({
      warning: Duration.optional().describe('Age where a warning begins.'),
      critical: Duration.optional().describe('Age where it is critical.'),
    })
    .refine(hasLimit, hasLimitFault),
]);
interface AgeLimits {
  warning?: number | undefined;
  critical?: number | undefined;
}

const Options = z.strictObject({
  path: z
    .string()
    .regex(/^\/[^\n\0]{1,1000}$/, 'must be a whole path')
    .describe('A file or folder; `*` and `?` stand for text in a name, as in /backup/db-*.gz.'),
  exists: z
    .enum(['yes', 'no', 'either'])
    .default('yes')
    .describe('Whether it has to be there, must not be, or may be.'),
  follow: z.boolean().default(false).describe('Whether a symbolic link stands for what it points to.'),
  newest: Age.optional().describe(
    'The newest may be at most this old, as a backup of every night; or `warning` and `critical` apart.',
  ),
  oldest: Age.optional().describe(
    'The oldest may be at most this old, as something in a queue; or `warning` and `critical` apart.',
  ),
  sizeAtLeast: z.number().int().min(0).optional().describe('Bytes that the newest must have.'),
  sizeAtMost: z.number().int().min(0).optional().describe('Bytes that none may have more than.'),
  countAtLeast: z.number().int().min(0).optional().describe('So many have to be there.'),
  countAtMost: z.number().int().min(0).optional().describe('So many may be there.'),
  matches: patternOption().optional().describe('Regular expression that the last 256 KiB of the newest have to match.'),
  matchesNot: patternOption()
    .optional()
    .describe('Regular expression that the last 256 KiB of the newest must not match.'),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits')
    .optional()
    .describe('Sum that the newest has to have.'),
  unchanged: z
    .boolean()
    .default(false)
    .describe('Whether what is in the newest five must stay as the first look saw it.'),
  quietAfter: durationOr('24h').describe('A change that `unchanged` told counts as accepted after this time.'),
  owner: z
    .string()
    .regex(/^[A-Za-z0-9._-]+(?::[A-Za-z0-9._-]+)?$/, 'must be user or user:group')
    .optional()
    .describe('Owner they must have, as user or user:group.'),
  mode: z
    .string()
    .regex(/^[0-7]{3,4}$/, 'must be octal such as 640')
    .optional()
    .describe('Permissions they must have, in octal as 640.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'file',
  about: 'Files and folders: there or not, age, size, number, content, sum, owner and permissions. Shows no content.',
  options: Options,
  reach: 'host',
  resourceOf: ({ path }) => resourceName(path),
  observe,
  evidence: { about: 'the newest files that match: time, size, owner and name', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const wanted = wantedContent(options);
  const values = [options.follow ? 'follow' : 'keep', wanted, options.path];
  const answer = await askHost(context, { script: fileScript, values, maximumOutputBytes: 4 * 1_048_576 });
  if (!answer.ok) return [blind(options, answer.reason)];
  const { sections } = answer;
  const now = Number(linesOf(sections, 'time')[0]) * 1_000;
  if (sections.get('listing') === undefined || !Number.isFinite(now)) {
    return [blind(options, partFailure(sections.get('listing'), '"stat"'))];
  }
  const listing = parseListing(sections);
  if (listing.files.length === 0 && listing.refused !== undefined) return [blind(options, listing.refused)];
  const files = listing.files.toSorted((a, b) => b.changedAt - a.changedAt);
  const count = files.length === 0 ? 0 : Math.max(files.length, Number(linesOf(sections, 'count')[0] ?? 0));
  return [
    presence(options, { listing, count }),
    ...counts(options, count),
    ...(files.length === 0 ? [] : ages(options, files, now)),
    ...sizes(options, files),
    ...rights(options, files),
    ...contentObservations(options, { contents: parseContents(sections), context }),
  ];
}

function wantedContent({ matches, matchesNot, sha256, unchanged }: Options): 'none' | 'text' | 'sum' | 'both' {
  const wantsSum = sha256 !== undefined || unchanged;
  const wantsText = matches !== undefined || matchesNot !== undefined;
  if (wantsSum) return wantsText ? 'both' : 'sum';
  return wantsText ? 'text' : 'none';
}

function blind(options: Options, reason: string): Observation {
  return unseen({ condition: 'file-missing', resource: options.path }, reason);
}

function said({ path }: Options): { resource: string; labels: Record<string, string> } {
  return { resource: path, labels: { path: oneLine(path, 500) } };
}

function presence(options: Options, { listing, count }: { listing: FileListing; count: number }): Observation {
  const { path, exists } = options;
  const more = listing.refused === undefined ? '' : `; some could not be seen: ${listing.refused}`;
  const found =
    count === 1 && listing.files[0]?.path === path ? `${path} is there` : `${counted(count, 'file')} of ${path}`;
  const isThere = count > 0;
  const isWell = exists === 'either' || isThere === (exists === 'yes');
  return state({
    condition: exists === 'no' ? 'file-present' : 'file-missing',
    ...said(options),
    summary: `${isThere ? found : `${path} is not there`}${exists === 'no' && isThere ? ' and should not be' : ''}${more}`,
    ok: isWell,
    severity: 'critical',
  });
}

function counts(options: Options, count: number): Observation[] {
  const { countAtLeast, countAtMost } = options;
  if (countAtLeast === undefined && countAtMost === undefined) return [];
  const isFew = countAtLeast !== undefined && count < countAtLeast;
  const isMany = countAtMost !== undefined && count > countAtMost;
  const limit = isFew ? `, fewer than ${countAtLeast}` : isMany ? `, more than ${countAtMost}` : '';
  return [
    state({
      condition: 'file-count-wrong',
      ...said(options),
      summary: `${counted(count, 'file')} of ${options.path}${limit}`,
      ok: !isFew && !isMany,
      severity: 'warning',
    }),
  ];
}

function ages(options: Options, files: readonly FoundFile[], now: number): Observation[] {
  const age = (condition: string, of: { file: FoundFile | undefined; limits: AgeLimits | undefined; what: string }) => {
    if (of.file === undefined || of.limits === undefined) return [];
    const seconds = Math.max(0, Math.round((now - of.file.changedAt) / 1_000));
    const { warning, critical } = of.limits;
    const most = formatDuration(warning ?? critical ?? 0);
    const rest = {
      summary: `${of.what} of ${options.path} is ${formatDuration(seconds * 1_000)} old (at most ${most})`,
      value: seconds,
      unit: 's',
      bad: 'above',
      warning: warning === undefined ? undefined : warning / 1_000,
      critical: critical === undefined ? undefined : critical / 1_000,
      // The age has waited already.
      holdMs: 0,
    } as const;
    return [level({ condition, ...said(options), ...rest })];
  };
  return [
    ...age('file-old', { file: files[0], limits: options.newest, what: 'the newest' }),
    ...age('file-waiting', { file: files.at(-1), limits: options.oldest, what: 'the oldest' }),
  ];
}

function sizes(options: Options, files: readonly FoundFile[]): Observation[] {
  const [newest] = files;
  const { sizeAtLeast, sizeAtMost } = options;
  const found: Observation[] = [];
  if (newest !== undefined && sizeAtLeast !== undefined) {
    const summary = `${newest.path} has ${formatBytes(newest.sizeBytes)} (at least ${formatBytes(sizeAtLeast)})`;
    found.push(
      state({
        condition: 'file-small',
        ...said(options),
        summary,
        ok: newest.sizeBytes >= sizeAtLeast,
        severity: 'critical',
      }),
    );
  }
  if (sizeAtMost !== undefined && files.length > 0) {
    const largest = files.reduce((a, b) => (b.sizeBytes > a.sizeBytes ? b : a));
    const summary = `${largest.path} has ${formatBytes(largest.sizeBytes)} (at most ${formatBytes(sizeAtMost)})`;
    found.push(
      state({
        condition: 'file-large',
        ...said(options),
        summary,
        ok: largest.sizeBytes <= sizeAtMost,
        severity: 'warning',
      }),
    );
  }
  return found;
}

function rights(options: Options, files: readonly FoundFile[]): Observation[] {
  const { owner, mode } = options;
  if ((owner === undefined && mode === undefined) || files.length === 0) return [];
  const isOdd = (file: FoundFile): boolean => {
    const owners = owner === undefined || [file.owner, `${file.owner}:${file.group}`].includes(owner);
    return !owners || (mode !== undefined && Number.parseInt(file.mode, 8) !== Number.parseInt(mode, 8));
  };
  const odd = files.filter(isOdd);
  const [first] = odd;
  const wanted = [owner, mode].filter((one) => one !== undefined).join(' ');
  return [
    state({
      condition: 'file-mode-wrong',
      ...said(options),
      summary:
        first === undefined
          ? `${counted(files.length, 'file')} of ${options.path} belong to whom they should (${wanted})`
          : `${first.path} is ${first.owner}:${first.group} ${first.mode}, not ${wanted}${odd.length > 1 ? ` (and ${odd.length - 1} more)` : ''}`,
      ok: first === undefined,
      severity: 'warning',
    }),
  ];
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const values = [options.follow ? 'follow' : 'keep', 'none', options.path];
  const answer = await askHost(context, { script: fileScript, values, timeoutMs: 5_000 });
  if (!answer.ok) return [];
  const files = parseListing(answer.sections).files.toSorted((a, b) => a.changedAt - b.changedAt);
  const lines = files.slice(-12).map(({ path, sizeBytes, changedAt, owner, group, mode }) => {
    const time = timeText(changedAt);
    return `${time} ${formatBytes(sizeBytes)} ${owner}:${group} ${mode} ${path}`;
  });
  return evidenceOf('state', `Newest files of ${options.path}`, lines);
}
