import { z } from 'zod';
import { durationOr } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import type { Severity } from '#bus/fields.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Api, apiOptions, createApi, presence, secretOf } from '#agents/sentinel/probes/api.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, formatBytes } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  product: z.enum(['sonarr', 'radarr', 'lidarr', 'readarr', 'prowlarr', 'bazarr']).describe('Which of them it is.'),
  token: SecretRef.optional().describe('API key; with it what the product says of its own health is watched.'),
  ignore: z
    .array(z.string().max(100))
    .max(50)
    .default([])
    .describe('Health sources to leave out, as IndexerStatusCheck.'),
  stuckAfter: durationOr('1h').describe('Downloads that wait so long with a warning or an error are stuck.'),
  freeBelow: z
    .number()
    .nonnegative()
    .default(10)
    .describe('GiB free on a disk of the product below which it is a warning; of a small disk a twentieth.'),
});
type Options = z.output<typeof Options>;

/** Version of the API; Bazarr has another one altogether. */
const versions: Partial<Record<Options['product'], string>> = {
  sonarr: 'v3',
  radarr: 'v3',
  lidarr: 'v1',
  readarr: 'v1',
  prowlarr: 'v1',
};

/** `GET /api/v3/health` and the like. */
const Issues = z.array(z.object({ source: z.string(), type: z.string(), message: z.string().default('') }));
/** `GET /api/system/health` of Bazarr. */
const BazarrIssues = z.object({ data: z.array(z.object({ object: z.string(), issue: z.string() })) });

/** `GET /queue/status` and `GET /diskspace` of those that download. */
const Queue = z.object({
  totalCount: z.number().default(0),
  errors: z.boolean().default(false),
  warnings: z.boolean().default(false),
});
const Disks = z.array(z.object({ path: z.string(), freeSpace: z.number(), totalSpace: z.number() }));

const gibibyte = 1_073_741_824;
const maximumDisks = 50;

interface Issue {
  source: string;
  severity: Severity;
  message: string;
}

export const check = defineCheck({
  kind: 'arr',
  about:
    'Sonarr, Radarr, Lidarr, Readarr, Prowlarr and Bazarr: whether they answer, their own health messages, stuck downloads and full disks.',
  options: Options,
  reach: 'network',
  resourceOf: ({ product }) => product,
  observe,
  evidence: { about: 'all health messages as the product words them', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const alive = await api.text({ path: options.product === 'bazarr' ? '/api/system/ping' : '/ping' });
  const { product } = options;
  const there = presence(alive, { condition: 'arr-down', resource: product, name: product });
  if (alive.is !== 'value' || options.token === undefined) return [there];
  const issues = await issuesOf(api, options, context);
  const said = { condition: 'arr-health', resource: 'health' };
  if (!issues.ok) return [there, unseen(said, issues.reason)];
  const counts = `${product} reports ${counted(issues.issues.length, 'health problem')}`;
  return [
    there,
    state({ ...said, summary: counts, ok: true, severity: 'warning' }),
    ...(await lookAtDownloads(api, options, issues.headers)),
    ...[...Map.groupBy(issues.issues, ({ source }) => source)].map(([source, own]) => observed(product, source, own)),
  ];
}

/** One per source: the text of a message holds counts and names that come and go. */
function observed(product: string, source: string, issues: readonly Issue[]): Observation {
  const severity = issues.some((issue) => issue.severity === 'critical')
    ? 'critical'
    : (issues[0]?.severity ?? 'warning');
  const words = issues.map(({ message }) => message).join('; ');
  return state({
    condition: 'arr-health',
    resource: source,
    summary: `${product}: ${words === '' ? source : words}`,
    ok: false,
    severity,
    holdMs: 5 * 60_000,
  });
}

type Headers = Record<string, string>;

async function lookAtDownloads(api: Api, options: Options, headers: Headers): Promise<Observation[]> {
  const version = versions[options.product];
  if (version === undefined || options.product === 'prowlarr') return [];
  const stuck = { condition: 'arr-queue-stuck', resource: 'queue', holdMs: options.stuckAfter };
  const queue = await api.json(Queue, { path: `/api/${version}/queue/status`, headers });
  const disks = await api.json(Disks, { path: `/api/${version}/diskspace`, headers });
  return [
    queue.is === 'value' ? judgeQueue(queue.value, options, stuck) : unseen(stuck, queue.reason),
    ...(disks.is === 'value'
      ? judgeDisks(disks.value, options)
      : [unseen({ condition: 'arr-disk-full', resource: 'disks' }, disks.reason)]),
  ];
}

function judgeQueue(
  { totalCount, errors, warnings }: z.output<typeof Queue>,
  { product }: Options,
  said: { condition: string; resource: string; holdMs: number },
): Observation {
  const what = errors ? ', some with errors' : warnings ? ', some with warnings' : '';
  const summary = `${product} has ${counted(totalCount, 'download')} in its queue${what}`;
  return state({ ...said, summary, ok: !errors && !warnings, severity: 'warning' });
}

/** Mounts of a container are told one by one, with one disk behind many: by path they stay apart. */
function judgeDisks(all: z.output<typeof Disks>, { product, freeBelow }: Options): Observation[] {
  const disks = new Map(all.filter(({ totalSpace }) => totalSpace > 0).map((disk) => [disk.path, disk]));
  return [...disks.values()].slice(0, maximumDisks).map(({ path, freeSpace, totalSpace }) =>
    level({
      condition: 'arr-disk-full',
      resource: path,
      summary: `${product} has ${formatBytes(freeSpace)} of ${formatBytes(totalSpace)} free at ${path}`,
      value: freeSpace / gibibyte,
      unit: 'GiB',
      bad: 'below',
      warning: Math.min(freeBelow, totalSpace / gibibyte / 20),
    }),
  );
}

type Listed = { ok: true; headers: Headers; issues: Issue[] } | { ok: false; reason: string };

async function issuesOf(api: Api, options: Options, context: CheckContext): Promise<Listed> {
  const key = options.token === undefined ? undefined : secretOf(options.token, context);
  if (key === undefined || !key.ok) return { ok: false, reason: key?.reason ?? 'no API key is given' };
  const headers = { 'x-api-key': key.value };
  const keep = (issues: Issue[]): Listed => ({
    ok: true,
    headers,
    issues: issues.filter(({ source }) => !options.ignore.includes(source)).slice(0, 100),
  });
  const version = versions[options.product];
  if (version === undefined) {
    const answer = await api.json(BazarrIssues, { path: '/api/system/health', headers });
    if (answer.is !== 'value') return { ok: false, reason: answer.reason };
    return keep(
      answer.value.data.map(({ object, issue }) => ({ source: object, severity: 'warning', message: issue })),
    );
  }
  const answer = await api.json(Issues, { path: `/api/${version}/health`, headers });
  if (answer.is !== 'value') return { ok: false, reason: answer.reason };
  const bad = answer.value.filter(({ type }) => type !== 'ok' && type !== 'notice');
  return keep(
    bad.map(({ source, type, message }) => ({ source, severity: type === 'error' ? 'critical' : 'warning', message })),
  );
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  if (options.token === undefined) return [];
  const issues = await issuesOf(createApi(options, context), options, context);
  if (!issues.ok) return [];
  const lines = issues.issues.map(({ source, severity, message }) => `${severity} ${source}: ${message}`);
  return evidenceOf('state', `Health of ${options.product}`, lines);
}
