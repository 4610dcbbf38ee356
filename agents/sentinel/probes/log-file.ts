import type { CheckContext, CheckMemory } from '#agents/sentinel/check.ts';
import { askHost, linesOf, partFailure, scriptHead } from './host-answer.ts';
import type { NewLines } from './journal-lines.ts';
import type { TimedLine } from './line-count.ts';
import { remember } from './remembered.ts';
import type { Section } from './sections.ts';

/** Bytes of one look; what is more comes with the next ones. */
const maximumBytes = 1_048_576;
/** Further behind than this it is no use to catch up. */
const furthestBehind = 32 * 1_048_576;

/** Where a file was read to: its inode, because rotation puts another one under the name. */
interface Place {
  inode: string;
  offset: number;
}

/**
 * Arguments: path, inode and offset of the last look (or nothing). Base64, because a line of a log could look like the
 * end of a part. The rest of a file that was rotated to `.1` is read before the new one.
 */
const script = String.raw`${scriptHead}
path=$1; inode=$2; offset=$3
piece() { tail -c "+$(($2 + 1))" -- "$1" 2>/dev/null | head -c ${maximumBytes} | base64 | tr -d '\n'; echo; }
part stat stat -L -c '%i %s' -- "$path"
now=$(stat -L -c %i -- "$path" 2>/dev/null)
if [ -n "$inode" ] && [ "$now" = "$inode" ]; then part read piece "$path" "$offset"
elif [ -n "$inode" ] && [ -n "$now" ]; then
  [ "$(stat -L -c %i -- "$path.1" 2>/dev/null)" = "$inode" ] && part rest piece "$path.1" "$offset"
  part read piece "$path" 0
fi
part readable test -r "$path"
`;

/** Whole lines written to a file since the last look. The first look reads nothing: it cannot tell old from new. */
export async function newFileLines(context: CheckContext, path: string): Promise<NewLines<TimedLine>> {
  const place = placeIn(context.memory.get('place'));
  const values = place === undefined ? [path, '', '0'] : [path, place.inode, String(place.offset)];
  const answer = await askHost(context, { script, values, maximumOutputBytes: 4 * maximumBytes });
  if (!answer.ok) return answer;
  const file = fileIn(answer.sections, path);
  if ('reason' in file) return { ok: false, reason: file.reason };
  // A file that was emptied in place (copytruncate) begins anew; what was written before is read with the next look.
  const isEmptied = place?.inode === file.inode && file.size < place.offset;
  if (place === undefined || isEmptied) {
    remember(context.memory, 'place', { inode: file.inode, offset: isEmptied ? 0 : file.size });
    return { ok: true, lines: [], isCut: false };
  }
  const rest = decoded(answer.sections, 'rest');
  const piece = decoded(answer.sections, 'read');
  const whole = piece.subarray(0, piece.lastIndexOf(0x0a) + 1);
  const from = place.inode === file.inode ? place.offset : 0;
  const behind = goOn(context.memory, { ...file, from, read: piece.length, whole: whole.length });
  const at = context.clock.now();
  const lines = [...linesIn(rest), ...linesIn(whole)].map((text) => ({ at, text }));
  return { ok: true, lines, isCut: behind > 0 && piece.length >= maximumBytes };
}

/** Remembers where the next look begins and gives the bytes that are left for it. */
function goOn(
  memory: CheckMemory,
  of: { inode: string; size: number; from: number; read: number; whole: number },
): number {
  // A line longer than a whole look has no end within it: it is skipped.
  const taken = of.whole === 0 && of.read >= maximumBytes ? of.read : of.whole;
  const offset = of.from + taken;
  const behind = of.size - offset;
  remember(memory, 'place', { inode: of.inode, offset: behind > furthestBehind ? of.size : offset });
  return behind;
}

function fileIn(
  sections: ReadonlyMap<string, Section>,
  path: string,
): { inode: string; size: number } | { reason: string } {
  const stat = sections.get('stat');
  const [inode = '', size = ''] = linesOf(sections, 'stat')[0]?.split(' ') ?? [];
  if (stat?.code !== 0 || !/^\d+$/.test(inode) || !/^\d{1,15}$/.test(size))
    return { reason: partFailure(stat, '"stat"') };
  if (sections.get('readable')?.code !== 0) return { reason: `the read login may not read ${path}` };
  return { inode, size: Number(size) };
}

function placeIn(value: unknown): Place | undefined {
  if (value === null || typeof value !== 'object' || !('inode' in value) || !('offset' in value)) return undefined;
  return typeof value.inode === 'string' && typeof value.offset === 'number'
    ? { inode: value.inode, offset: value.offset }
    : undefined;
}

function decoded(sections: ReadonlyMap<string, Section>, name: string): Buffer {
  return Buffer.from(linesOf(sections, name)[0] ?? '', 'base64');
}

function linesIn(bytes: Buffer): string[] {
  const lines = bytes.toString('utf8').split('\n');
  return lines.filter((line) => line !== '');
}
