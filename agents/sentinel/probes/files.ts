import { linesOf } from './host-answer.ts';
import type { Section } from './sections.ts';
import { oneLine } from './text.ts';

export interface FoundFile {
  path: string;
  sizeBytes: number;
  /** Epoch ms. */
  changedAt: number;
  owner: string;
  group: string;
  /** As `640`. */
  mode: string;
  sort: string;
}

/** What a part of the script says: files, and why some could not be seen. */
export interface FileListing {
  files: FoundFile[];
  /** Words of `stat` other than that something is not there. */
  refused: string | undefined;
}

export function parseListing(sections: ReadonlyMap<string, Section>): FileListing {
  const files: FoundFile[] = [];
  let refused: string | undefined;
  for (const line of linesOf(sections, 'listing').slice(0, 2_000)) {
    // An error line of stat ends with a newline, which became `?`, and stands before the next file.
    const at = line.indexOf('=');
    const errors = line.startsWith('stat: ') ? line : at > 0 ? line.slice(0, at) : '';
    if (/permission denied|input\/output|stale|not a directory/i.test(errors)) refused ??= oneLine(errors, 200);
    const file = fileIn(line.slice(line.search(/=\d+\|/)));
    if (file !== undefined) files.push(file);
  }
  return { files, refused };
}

function fileIn(line: string): FoundFile | undefined {
  const match = /^=(\d+)\|(-?\d+)\|([^|]*)\|([^|]*)\|(\d+)\|([^|]*)\|(.*)$/.exec(line);
  if (match === null) return undefined;
  const [, size, seconds, owner = '', group = '', mode = '', sort = '', path = ''] = match;
  return { path, sizeBytes: Number(size), changedAt: Number(seconds) * 1_000, owner, group, mode, sort };
}

/** `sum <hex> <path>`, `text <base64> <path>`, or a reason and a dash. */
export interface Content {
  sum?: string;
  text?: string;
  /** Why what was wanted and is not here could not be read. */
  unread?: string;
}

const reasons: Record<string, string> = {
  link: 'it is a symbolic link, which is not followed',
  odd: 'it is no plain file',
  closed: 'the read login may not read it',
  large: 'it is larger than 64 MiB',
};

/** A file has one line for each thing that was wanted of it. */
export function parseContents(sections: ReadonlyMap<string, Section>): Map<string, Content> {
  const contents = new Map<string, Content>();
  for (const line of linesOf(sections, 'content').slice(0, 10)) {
    const match = /^(\w+) (\S*) (\/.*)$/.exec(line);
    if (match === null) continue;
    const [, word = '', value = '', path = ''] = match;
    contents.set(path, { ...contents.get(path), ...contentOf(word, value) });
  }
  return contents;
}

function contentOf(word: string, value: string): Content {
  if (word === 'sum' && /^[0-9a-f]{64}$/.test(value)) return { sum: value };
  if (word === 'text') return { text: Buffer.from(value, 'base64').toString('utf8') };
  return { unread: reasons[word] ?? 'it could not be read in time' };
}
