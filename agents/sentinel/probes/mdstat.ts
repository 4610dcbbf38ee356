import { oneLine } from './text.ts';

/** One array of /proc/mdstat. */
export interface RaidArray {
  name: string;
  isActive: boolean;
  isReadOnly: boolean;
  level: string;
  /** Disks it should have and has; absent for levels without redundancy. */
  wanted?: number;
  present?: number;
  /** Members that the kernel gave up. */
  failed: string[];
  /** What runs: `recovery`, `resync`, `check`, `reshape`. */
  work?: { what: string; percent: number; left: string };
}

const maximumArrays = 50;

/** Blocks such as `md0 : active raid1 sdb1[1](F) sda1[0]`, `1046528 blocks super 1.2 [2/1] [U_]`, a line of progress. */
export function parseMdstat(text: string): RaidArray[] {
  const blocks = text.split(/^(?=md\S* : )/m).slice(1, maximumArrays + 1);
  return blocks.flatMap((block) => {
    const head = /^(md\S*) : (inactive|active)\s*(\((?:auto-)?read-only\))?\s*([^\n]*)/.exec(block);
    if (head === null) return [];
    const [, name = '', is, readOnly, rest = ''] = head;
    const words = rest.split(/\s+/).filter(Boolean);
    const members = words.filter((word) => /\[\d+\]/.test(word));
    const counts = /\[(\d+)\/(\d+)\]/.exec(block.slice(head[0].length));
    const work = /(recovery|resync|check|reshape|repair)\s*=\s*([\d.]+)%[^\n]*?finish=(\S+)/.exec(block);
    return [
      {
        name: oneLine(name, 64),
        isActive: is === 'active',
        // `(auto-read-only)` is an array that nobody has written to yet.
        isReadOnly: readOnly === '(read-only)',
        level: oneLine(words.find((word) => !/\[\d+\]/.test(word)) ?? 'no level', 20),
        ...(counts !== null && { wanted: Number(counts[1]), present: Number(counts[2]) }),
        failed: members.filter((word) => word.includes('(F)')).map((word) => oneLine(word.replace(/\[.*/, ''), 32)),
        ...(work !== null && {
          work: { what: work[1] ?? '', percent: Number(work[2]), left: oneLine(work[3] ?? '', 20) },
        }),
      },
    ];
  });
}
