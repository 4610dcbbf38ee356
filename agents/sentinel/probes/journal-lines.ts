import type { CheckContext, CheckMemory } from '#agents/sentinel/check.ts';
import { askHost, linesOf, scriptHead } from './host-answer.ts';
import { journalAccess, journalFault } from './journal-access.ts';
import { type JournalEntry, parseEntries } from './journal.ts';
import { remember } from './remembered.ts';

/** What of a journal is read: units, identifiers and priorities together, as `journalctl` joins them. */
export interface JournalFilter {
  units: readonly string[];
  identifiers: readonly string[];
  /** `err` and worse; absent: all. */
  priority: string | undefined;
}

/** New lines of a log, or why there are none. */
export type NewLines<L> = { ok: true; lines: L[]; isCut: boolean } | { ok: false; reason: string };

interface JournalRead {
  lines: JournalEntry[];
  isCut: boolean;
  /** The last line of the whole journal, as it was before the lines were read. */
  newest: JournalEntry | undefined;
}

/** Lines of one look: `head` ends journalctl after them, and the next look goes on there. */
const maximumLines = 4_000;
/** Further behind than this it is no use to catch up: the newest lines count. */
const furthestBehindMs = 15 * 60_000;

/**
 * First argument: the cursor of the last line that was read, or nothing; second: how far to look back without one, in
 * seconds; the others are filters. Journald knows a cursor's place by its time too, so a rotated or vacuumed journal
 * goes on where it begins; a cursor of another machine is refused, and the time counts. Reads from the cursor on, not
 * after it: where the line of the cursor is gone, or the filters leave it out, `--after-cursor` of systemd 252 skips
 * the first line that is new. `--unit` finds what systemd says of a unit (UNIT=) as well as what the unit itself says
 * (_SYSTEMD_UNIT=).
 */
const script = String.raw`${scriptHead}${journalAccess}
cursor=$1; back=$2; shift 2
fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_COMM,_PID
read_from() { from=$1; shift; limit 8 journalctl --no-pager -o json --output-fields=$fields "$from" "$@" 2>/dev/null | head -n ${maximumLines}; }
entries() {
  if [ -n "$cursor" ] && limit 8 journalctl --no-pager -q -n 1 --cursor="$cursor" >/dev/null 2>&1; then read_from "--cursor=$cursor" "$@"
  else read_from "--since=-$back"s "$@"; fi
}
newest() { limit 8 journalctl --no-pager -q -n 1 -o json --output-fields=PRIORITY 2>/dev/null; }
has journalctl || { part absent true; part done true; exit 0; }
part access access
part newest newest
part entries entries "$@"
`;

/** Lines written since the last look; each is given once. `backMs`: how far the first look goes back. */
export async function newJournalLines(
  context: CheckContext,
  filter: JournalFilter,
  backMs: number,
): Promise<NewLines<JournalEntry>> {
  const known = context.memory.get('cursor');
  const cursor = typeof known === 'string' ? known : '';
  const answer = await readJournal(context, filter, { cursor, backMs });
  if (answer.ok) rememberCursor(context.memory, nextCursor(answer, cursor));
  return answer;
}

/** Where the next look begins; undefined: where this one did. */
function nextCursor({ lines, newest, isCut }: JournalRead, cursor: string): string | undefined {
  const last = lines.at(-1);
  if (last === undefined) return cursor === '' ? newest?.cursor : undefined;
  const behindMs = isCut && newest !== undefined ? newest.at - last.at : 0;
  return behindMs > furthestBehindMs ? newest?.cursor : last.cursor;
}

/** Never longer than what journald makes, so that a host cannot fill the memory. */
function rememberCursor(memory: CheckMemory, cursor: string | undefined): void {
  if (cursor !== undefined && /^[a-z0-9=;]{10,300}$/.test(cursor)) remember(memory, 'cursor', cursor);
}

/** Lines of a time, for evidence: nothing is remembered. */
export async function readJournal(
  context: CheckContext,
  filter: JournalFilter,
  from: { cursor: string; backMs: number; timeoutMs?: number },
): Promise<({ ok: true } & JournalRead) | { ok: false; reason: string }> {
  const values = [
    from.cursor,
    String(Math.ceil(from.backMs / 1_000)),
    ...filter.units.map((unit) => `--unit=${unit}`),
    ...filter.identifiers.map((name) => `--identifier=${name}`),
    ...(filter.priority === undefined ? [] : [`--priority=${filter.priority}`]),
  ];
  const answer = await askHost(context, {
    script,
    values,
    maximumOutputBytes: 4 * 1_048_576,
    ...(from.timeoutMs !== undefined && { timeoutMs: from.timeoutMs }),
  });
  if (!answer.ok) return answer;
  const { sections } = answer;
  if (sections.has('absent')) return { ok: false, reason: '"journalctl" is not there' };
  const fault = journalFault(sections.get('access'));
  if (fault !== undefined) return { ok: false, reason: fault };
  const entries = sections.get('entries');
  if (entries === undefined) return { ok: false, reason: '"journalctl" was not asked' };
  const read = parseEntries(entries.text);
  const lines = read.filter((line) => line.cursor !== from.cursor);
  const [newest] = parseEntries(linesOf(sections, 'newest').join('\n'));
  return { ok: true, lines, newest, isCut: read.length >= maximumLines };
}
