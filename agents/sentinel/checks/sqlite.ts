import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { askHost, linesOf, partFailure, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { type Database, headFault, type Pages, parseDatabases, sqliteScript } from '#agents/sentinel/probes/sqlite.ts';
import { counted, evidenceOf, formatBytes, oneLine, resourceName } from '#agents/sentinel/probes/text.ts';

const mebibyte = 1_048_576;
/** What is left of the check's own time for the shell around it. */
const sparedMs = 2_000;
/** Of each database, so that the words about all of them fit into the memory of a check. */
const keptLines = 5;

const Options = z.strictObject({
  path: z
    .string()
    .regex(/^\/[^\n\0]{1,1000}$/, 'must be a whole path')
    .describe('The database; `*` and `?` stand for text in a name, as in /srv/*/config/app.db.'),
  pages: z
    .boolean()
    .default(true)
    .describe('Whether its pages are read too (quick_check), which needs sqlite3 on the host.'),
  pagesEvery: durationOr('1d').describe('How often they are read; its head is looked at each time.'),
  pagesUpTo: z
    .number()
    .positive()
    .default(256)
    .describe(
      'MiB up to which pages are read. Without a write-ahead log nobody can write to a database while it is read.',
    ),
  logAbove: z
    .number()
    .positive()
    .default(512)
    .describe(
      'MiB of its write-ahead log above which it is a warning: somebody reads without end, or nobody tidies up.',
    ),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'sqlite',
  about: 'SQLite databases: missing, empty, cut off or damaged inside, and logs that only grow. Shows no content.',
  options: Options,
  reach: 'host',
  resourceOf: ({ path }) => resourceName(path),
  observe,
  evidence: { about: 'what sqlite3 said of the pages, the files beside the database and errors of the disk', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const known = knownOf(context.memory.get('pages'));
  const now = context.clock.now();
  const isDue = options.pages && (now - known.at >= options.pagesEvery || known.at > now || isWanting(known));
  const answer = await askHost(context, {
    script: sqliteScript,
    values: [
      isDue ? 'pages' : 'head',
      String(Math.round(options.pagesUpTo * mebibyte)),
      String(Math.max(1, Math.floor((context.timeoutMs - sparedMs) / 1_000))),
      options.path,
    ],
  });
  const missing = { condition: 'sqlite-missing', resource: options.path };
  if (!answer.ok) return [unseen(missing, answer.reason)];
  const section = answer.sections.get('databases');
  if (section?.code !== 0) return [unseen(missing, partFailure(section, '"stat"'))];
  const { databases, none } = parseDatabases(linesOf(answer.sections, 'databases'));
  if (databases.length === 0 && none !== undefined && !none.includes('No such file')) return [unseen(missing, none)];
  if (isDue) keep(context, databases, now);
  const before = new Map(known.databases);
  return [
    presence(options, databases.length),
    ...databases.flatMap((database) => [
      soundness(database, options, database.pages ?? before.get(database.path)),
      ...logOf(database, options),
    ]),
  ];
}

function presence({ path }: Options, count: number): Observation {
  return state({
    condition: 'sqlite-missing',
    resource: path,
    labels: { path: oneLine(path, 500) },
    summary: count === 0 ? `there is no database ${path}` : `looked at ${counted(count, 'database')} of ${path}`,
    ok: count > 0,
    severity: 'critical',
  });
}

/** What its head says goes before what its pages say: those of a file that is cut off are not to be had. */
function soundness(database: Database, { pagesUpTo }: Options, pages: Pages | undefined): Observation {
  const { path } = database;
  const said = { condition: 'sqlite-damaged', resource: path, labels: { path: oneLine(path, 500) } };
  const bad = (words: string): Observation =>
    state({ ...said, summary: `${path} ${words}`, ok: false, severity: 'critical' });
  const well = (words: string): Observation =>
    state({ ...said, summary: `${path} ${words}`, ok: true, severity: 'critical' });
  if (database.head === undefined) return unseen(said, 'it may not be read');
  const fault = headFault(database);
  if (fault !== undefined) return bad(fault);
  const size = formatBytes(database.bytes);
  switch (pages?.is) {
    case 'damaged':
      return bad(`is damaged: ${pages.lines.slice(0, 3).join('; ')}`);
    case 'unread':
      return unseen(said, pages.reason);
    case 'sound':
      return well(`is sound (${size})`);
    case 'left-out':
      return well(`begins and ends as it should (${size}, pages are read up to ${pagesUpTo} MiB)`);
    case undefined:
      return well(`begins and ends as it should (${size})`);
  }
}

function logOf({ path, logBytes }: Database, { logAbove }: Options): Observation[] {
  if (logBytes === 0) return [];
  return [
    level({
      condition: 'sqlite-log-large',
      resource: path,
      labels: { path: oneLine(path, 500) },
      summary: `the write-ahead log of ${path} has ${formatBytes(logBytes)}`,
      value: logBytes / mebibyte,
      unit: 'MiB',
      bad: 'above',
      warning: logAbove,
    }),
  ];
}

/** What the last reading of pages came to, until the next one. */
interface Known {
  at: number;
  databases: [string, Pages][];
}

/** A damage is looked for again each time, so that its end is seen. */
function isWanting({ databases }: Known): boolean {
  return databases.some(([, pages]) => pages.is === 'damaged' || (pages.is === 'unread' && pages.soon));
}

function keep(context: CheckContext, databases: readonly Database[], now: number): void {
  const read = databases.flatMap(({ path, pages }) => (pages === undefined ? [] : [[path, shortened(pages)] as const]));
  remember(context.memory, 'pages', { at: now, databases: read });
}

function shortened(pages: Pages): Pages {
  switch (pages.is) {
    case 'damaged':
      return { ...pages, lines: pages.lines.slice(0, keptLines).map((line) => oneLine(line, 200)) };
    case 'unread':
      return { ...pages, reason: oneLine(pages.reason, 200) };
    case 'sound':
    case 'left-out':
      return pages;
  }
}

const Remembered = z.object({
  at: z.number(),
  databases: z.array(
    z.tuple([
      z.string(),
      z.discriminatedUnion('is', [
        z.object({ is: z.literal('sound') }),
        z.object({ is: z.literal('damaged'), lines: z.array(z.string()) }),
        z.object({ is: z.literal('left-out') }),
        z.object({ is: z.literal('unread'), reason: z.string(), soon: z.boolean() }),
      ]),
    ]),
  ),
});

function knownOf(value: unknown): Known {
  const parsed = Remembered.safeParse(value);
  return parsed.success ? parsed.data : { at: Number.NEGATIVE_INFINITY, databases: [] };
}

const evidenceScript = String.raw`${scriptHead}
set +f
IFS=
beside() { ls -ld --time-style=long-iso -- "$1" "$1"-* 2>/dev/null; true; }
kernel() { limit 3 journalctl -k --no-pager -o short-iso -n 5000 2>/dev/null | grep -iE 'i/o error|ext4.*error|xfs.*(corrupt|error)|btrfs.*(error|corrupt)|read-only' | tail -n 10; true; }
part beside beside "$1"
part kernel kernel
`;

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const path = observation.labels?.['path'] ?? options.path;
  const pages = new Map(knownOf(context.memory.get('pages')).databases).get(path);
  const answer = await askHost(context, { script: evidenceScript, values: [path], timeoutMs: 5_000 });
  return [
    ...evidenceOf('state', `Pages of ${path}`, pages?.is === 'damaged' ? pages.lines : []),
    ...(answer.ok ? evidenceOf('state', 'Files', linesOf(answer.sections, 'beside')) : []),
    ...(answer.ok ? evidenceOf('log', 'Kernel about disks', linesOf(answer.sections, 'kernel')) : []),
  ];
}
