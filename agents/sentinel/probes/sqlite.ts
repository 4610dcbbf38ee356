import { scriptHead } from './host-answer.ts';

/** More databases of one pattern are not looked at. */
export const maximumDatabases = 20;

/**
 * Arguments: `pages` or `head`, bytes up to which pages are read, seconds for all, and a path in which `*` and `?` stand
 * for text. Nothing is written: a database in WAL mode that nobody has open is read as a file that does not change,
 * because SQLite would lay its index beside it. Read as any other it holds off writers that use a rollback journal.
 */
export const sqliteScript = String.raw`${scriptHead}
wanted=$1; most=$2; seconds=$3; pattern=$4
set +f
IFS=
began=$(date +%s)
size() { stat -L -c %s -- "$1" 2>/dev/null || echo 0; }
pages() {
  if [ "$(size "$1")" -gt "$most" ]; then echo "large $2"; return; fi
  if ! has sqlite3; then echo "toolless $2"; return; fi
  left=$((seconds - $(date +%s) + began))
  if [ $left -lt 2 ]; then echo "late $2"; return; fi
  uri="file:$(printf %s "$1" | sed 's/%/%25/g; s/?/%3f/g; s/#/%23/g')?mode=ro"
  if [ "$(od -An -j 18 -N 1 -tu1 -- "$1" | tr -d ' ')" = 2 ] && ! [ -e "$1-wal" ] && ! [ -e "$1-shm" ]; then uri="$uri&immutable=1"; fi
  said=$(limit $left nice -n 19 sqlite3 -batch -init /dev/null -cmd '.timeout 2000' "$uri" 'PRAGMA trusted_schema=OFF; PRAGMA quick_check(10);' 2>&1 </dev/null)
  code=$?
  printf '%s\n' "$said" | head -n 12 | cut -c1-300 | while IFS= read -r line; do printf 'said %s %s %s\n' "$2" "$code" "$line"; done
}
databases() {
  n=0
  for f in $pattern; do
    [ -e "$f" ] || continue
    n=$((n + 1))
    [ $n -gt ${maximumDatabases} ] && break
    printf 'file %s %s %s %s\n' "$n" "$(size "$f")" "$(size "$f-wal")" "$(printf %s "$f" | tr '\n' '?')"
    if ! [ -f "$f" ] || ! [ -r "$f" ]; then echo "closed $n"; continue; fi
    printf 'head %s %s\n' "$n" "$(head -c 100 -- "$f" | od -An -v -tx1 | tr -d ' \n')"
    [ "$wanted" = pages ] && pages "$f" "$n"
  done
  [ $n -gt 0 ] || stat -- "$pattern" 2>&1 | head -n 1 | tr '\n' ' ' | sed 's/^/none /'
}
part databases databases
`;

/** One database as the script saw it. */
export interface Database {
  path: string;
  bytes: number;
  /** Of the write-ahead log beside it. */
  logBytes: number;
  /** Its first hundred bytes in hex; undefined when it may not be read. */
  head?: string;
  /** What reading its pages came to; undefined when they were not asked for. */
  pages?: Pages;
}

export type Pages =
  | { is: 'sound' }
  | { is: 'damaged'; lines: string[] }
  /** Too large for what the configuration allows. */
  | { is: 'left-out' }
  /** `soon`: the reason may be gone with the next look. */
  | { is: 'unread'; reason: string; soon: boolean };

const linePattern = /^(file|head|said|large|toolless|late|closed) (\d{1,4})(?: (.*))?$/;

/** The lines of the script; `none` is what stat said when nothing matches. */
export function parseDatabases(lines: readonly string[]): { databases: Database[]; none?: string } {
  const found = new Map<string, Seen>();
  for (const line of lines) {
    const [, word = '', number = '', rest = ''] = linePattern.exec(line) ?? [];
    if (word === 'file') readFile(found, number, rest);
    else note(found.get(number), word, rest);
  }
  const none = lines
    .find((line) => line.startsWith('none '))
    ?.slice(5)
    .trim();
  const databases = [...found.values()].slice(0, maximumDatabases).map(({ database, code, said }) => ({
    ...database,
    ...(code !== undefined && { pages: pagesOf(code, said) }),
  }));
  return { databases, ...(none !== undefined && { none }) };
}

/** A database, and what sqlite3 printed of it. */
interface Seen {
  database: Database;
  code?: number;
  said: string[];
}

function readFile(found: Map<string, Seen>, number: string, rest: string): void {
  const [, bytes, log, path] = /^(\d+) (\d+) (\/.*)$/.exec(rest) ?? [];
  if (path === undefined) return;
  found.set(number, { database: { path, bytes: Number(bytes), logBytes: Number(log) }, said: [] });
}

function note(seen: Seen | undefined, word: string, rest: string): void {
  if (seen === undefined) return;
  switch (word) {
    case 'head':
      if (/^[0-9a-f]{0,200}$/.test(rest)) seen.database.head = rest;
      return;
    case 'said':
      seen.code = Number.parseInt(rest, 10);
      seen.said.push(rest.replace(/^\d+ ?/, ''));
      return;
    case 'large':
      seen.database.pages = { is: 'left-out' };
      return;
    case 'toolless':
      seen.database.pages = { is: 'unread', reason: '"sqlite3" is not installed there', soon: true };
      return;
    case 'late':
      seen.database.pages = { is: 'unread', reason: 'there was no time left for it', soon: false };
  }
}

function pagesOf(code: number, lines: string[]): Pages {
  if (code === 124 || code === 137) return { is: 'unread', reason: 'reading its pages took too long', soon: false };
  if (code === 0) return lines.join('\n').trim() === 'ok' ? { is: 'sound' } : { is: 'damaged', lines };
  const isDamage = lines.some((line) => /malformed|not a database/i.test(line));
  return isDamage ? { is: 'damaged', lines } : { is: 'unread', reason: `sqlite3 says: ${lines.join(' ')}`, soon: true };
}

/** "SQLite format 3" and a zero. */
const magic = '53514c69746520666f726d6174203300';

/**
 * What the head alone tells, in words; undefined when it fits the file. Source: https://www.sqlite.org/fileformat2.html.
 * The number of pages counts only when whoever wrote last kept it, which two counters show.
 */
export function headFault({ head = '', bytes }: Database): string | undefined {
  if (bytes === 0) return 'is empty';
  if (!head.startsWith(magic)) return 'does not begin as a database does: it was overwritten, or is encrypted';
  const data = Buffer.from(head, 'hex');
  if (data.length < 100) return 'ends within its head';
  const written = data.readUInt16BE(16);
  const pageBytes = written === 1 ? 65_536 : written;
  const isKept = data.readUInt32BE(24) === data.readUInt32BE(92);
  const wanted = data.readUInt32BE(28) * pageBytes;
  return isKept && bytes < wanted ? `has ${bytes} of ${wanted} bytes: its end is cut off` : undefined;
}
