import { isIP } from 'node:net';
import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { authIdentifiers, parseAuthLog } from '#agents/sentinel/probes/auth-log.ts';
import {
  type AuthMemory,
  isAuthMemory,
  rememberAuth,
  sumOf,
  type TellingLogin,
} from '#agents/sentinel/probes/auth-memory.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { askHost, linesOf, partFailure, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { parseJournal } from '#agents/sentinel/probes/journal.ts';
import { levels } from '#agents/sentinel/probes/levels-option.ts';
import { patternOption } from '#agents/sentinel/probes/pattern.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

/** 5,000 entries of 600 bytes; a flood is read on with the next look. */
const maximumEntries = 5_000;
const maximumOutputBytes = 4_194_304;
const firstSeconds = 300;
const shownSources = 50;
/** Stays told after the last burst, so that one attack is one finding. */
const keepFiringMs = 15 * 60_000;

const Options = z.strictObject({
  within: durationOr('5m').describe('Failures of one source are counted over so long.'),
  failures: levels({ warning: 10, critical: 100, most: 1_000_000 }).prefault({}).describe('Failures of one source.'),
  total: z.number().int().positive().default(300).describe('Failures of all sources where a warning begins.'),
  afterFailures: durationOr('30m').describe(
    'A login is critical when its source failed `failures.warning` times within so long before.',
  ),
  rootLogin: z.boolean().default(true).describe('Whether a login of root by password is told.'),
  quietAfter: durationOr('1h').describe('A login is told for so long.'),
  ignore: z
    .array(z.string().min(1).max(100))
    .max(100)
    .default([])
    .describe('Sources to leave out; `*` stands for any text.'),
  identifiers: z
    .array(z.string().regex(/^[A-Za-z0-9_./@-]{1,64}$/, 'must be a syslog identifier such as vaultwarden'))
    .max(20)
    .default([])
    .describe('Further programs of the journal to read: the identifiers that `journalctl -o short` shows.'),
  patterns: z
    .array(patternOption())
    .max(10)
    .default([])
    .describe(
      'Expressions that match a failure of theirs, with groups `source` and `user`: `IP: (?<source>[0-9a-f.:]+)`.',
    ),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'auth-failures',
  about: 'Failed logins by source, a login after many failures, and root logged in by password, from the journal.',
  options: Options,
  reach: 'host',
  resourceOf: () => 'logins',
  observe,
  evidence: { about: 'what the source tried, in the words of the log, and who is logged in', gather },
});

// Without the right groups journalctl shows one's own entries only and ends with 0: that is not "no failures".
const script = String.raw`${scriptHead}
cursor=$1; since=$2; lines=$3; shift 3
if ! has journalctl; then part none true; part done true; exit 0; fi
readable() { set +f; for f in /var/log/journal/*/system.journal /run/log/journal/*/system.journal; do [ -r "$f" ] && { echo yes; break; }; done; set -f; true; }
read_journal() { limit 20 journalctl --no-pager -q -o json --output-fields=MESSAGE,SYSLOG_IDENTIFIER,_PID,_UID -n "$lines" "$@"; }
entries() {
  if [ -n "$cursor" ] && read_journal --after-cursor="$cursor" "$@" 2>/dev/null; then return 0; fi
  read_journal --since="$since" "$@"
}
part now date +%s
part readable readable
part entries entries "$@"
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const before = memoryOf(context);
  const since = before.readAt > 0 ? `@${Math.floor(before.readAt / 1_000)}` : `-${firstSeconds}s`;
  const identifiers = [...authIdentifiers, ...options.identifiers].map((name) => `--identifier=${name}`);
  const values = [before.cursor ?? '', since, String(maximumEntries), ...identifiers];
  const answer = await askHost(context, { script, values, maximumOutputBytes });
  const nothing = { condition: 'login-failures', resource: 'all sources' };
  if (!answer.ok) return [unseen(nothing, answer.reason)];
  const { sections } = answer;
  if (sections.has('none')) return [unseen(nothing, 'this host has no journal')];
  if (linesOf(sections, 'readable').length === 0) {
    return [unseen(nothing, 'the journal is not readable: add the read login to the group systemd-journal')];
  }
  const entries = sections.get('entries');
  if (entries === undefined || entries.code !== 0) return [unseen(nothing, partFailure(entries, 'journalctl'))];
  const log = parseAuthLog(entries.text, options.patterns);
  const events = log.events.filter(({ source }) => !matchesAny(source, options.ignore));
  const now = Number(sections.get('now')?.text.trim()) * 1_000 || context.clock.now();
  const after = rememberAuth(
    { ...before, readAt: now, ...(log.cursor !== undefined && { cursor: log.cursor }) },
    events,
    {
      now,
      windowMs: options.within,
      successMs: options.afterFailures,
      limit: options.failures.warning,
      loginMs: options.quietAfter,
    },
  );
  remember(context.memory, 'auth', after);
  const told = observations(options, after, { now, isBehind: log.entries >= maximumEntries });
  return log.unread === 0 ? told : [...told, unreadEntries(log.unread)];
}

function unreadEntries(unread: number): Observation {
  const reason = `the expressions of "patterns" take too long: ${counted(unread, 'line')} of the log ${unread === 1 ? 'was' : 'were'} not looked at`;
  return unseen({ condition: 'login-failures', resource: 'patterns' }, reason);
}

function memoryOf(context: CheckContext): AuthMemory {
  const known = context.memory.get('auth');
  return isAuthMemory(known) ? known : { readAt: 0, failures: {}, logins: [] };
}

function observations(options: Options, memory: AuthMemory, at: { now: number; isBehind: boolean }): Observation[] {
  const counts = Object.entries(memory.failures)
    .map(([source, minutes]) => ({
      source,
      count: sumOf(minutes.filter(([minute]) => minute >= at.now - options.within)),
    }))
    .filter(({ count }) => count > 0)
    .toSorted((a, b) => b.count - a.count);
  const within = formatDuration(options.within);
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  const behind = at.isBehind ? '; more are waiting to be read' : '';
  return [
    level({
      condition: 'login-failures',
      resource: 'all sources',
      holdMs: 0,
      value: total,
      unit: 'failures',
      bad: 'above',
      warning: options.total,
      summary: `${counted(total, 'failed login')} of ${counted(counts.length, 'source')} within ${within}${behind}`,
    }),
    ...counts.slice(0, shownSources).map(({ source, count }) => sourceObservation(options, source, count)),
    ...memory.logins.filter(({ is }) => is === 'after-failures').map(guessedObservation),
    ...memory.logins.filter(({ is }) => is === 'root' && options.rootLogin).map(rootObservation),
  ];
}

function sourceObservation(options: Options, source: string, count: number): Observation {
  return {
    ...level({
      condition: 'login-failures',
      resource: source,
      labels: labelsOf(source),
      holdMs: 0,
      value: count,
      unit: 'failures',
      bad: 'above',
      warning: options.failures.warning,
      critical: options.failures.critical,
      summary: `${counted(count, 'failed login')} from ${source} within ${formatDuration(options.within)}`,
    }),
    keepFiringMs,
  };
}

function labelsOf(source: string): Record<string, string> {
  return { source: oneLine(source, 80), ...(isIP(source) !== 0 && { address: source }) };
}

function guessedObservation({ source, user, service, method, failures, key }: TellingLogin): Observation {
  const isKey = method === 'publickey';
  return state({
    condition: 'login-after-failures',
    resource: key,
    labels: { ...labelsOf(source), user: oneLine(user, 60) },
    holdMs: 0,
    summary: `${user} logged in to ${service} from ${source}${method === '' ? '' : ` by ${method}`} after ${counted(failures, 'failure')} of that address`,
    ok: false,
    severity: isKey ? 'warning' : 'critical',
  });
}

function rootObservation({ source, service }: TellingLogin): Observation {
  return state({
    condition: 'root-login',
    resource: source,
    labels: labelsOf(source),
    holdMs: 0,
    summary: `root logged in to ${service} from ${source} by password`,
    ok: false,
    severity: 'info',
  });
}

const evidenceScript = String.raw`${scriptHead}
what=$1; shift
lines() { limit 4 journalctl --no-pager -q -o json --since=-2h -n 20000 "$@" | grep -F -- "$what" | tail -n 25; }
part lines lines "$@"
part who who
`;

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const source = observation.labels?.['source'];
  if (source === undefined) return [];
  const identifiers = [...authIdentifiers, ...options.identifiers].map((name) => `--identifier=${name}`);
  const what = source.split(' ').at(-1) ?? source;
  const answer = await askHost(context, { script: evidenceScript, values: [what, ...identifiers], timeoutMs: 5_000 });
  if (!answer.ok) return [];
  return [
    ...evidenceOf('log', `The log about ${what}`, parseJournal(answer.sections.get('lines')?.text ?? '')),
    ...evidenceOf('state', 'Who is logged in', linesOf(answer.sections, 'who')),
  ];
}
