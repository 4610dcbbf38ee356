import { oneLine } from './text.ts';

/** What one backup task did, guest by guest. */
export interface BackupOutcome {
  finished: number[];
  failed: { vmid: number; reason: string }[];
}

const finishedLine = /^INFO: Finished Backup of VM (\d{3,9})\b/;
const failedLine = /^ERROR: Backup of VM (\d{3,9}) failed(?: - (.*))?$/;

/** One task may back up many guests and then has one status for all: only its log tells which of them failed. */
export function parseVzdumpLog(lines: readonly string[]): BackupOutcome {
  const finished = new Set<number>();
  const failed = new Map<number, string>();
  for (const line of lines) {
    const done = finishedLine.exec(line);
    if (done !== null) finished.add(Number(done[1]));
    const lost = failedLine.exec(line);
    if (lost !== null) failed.set(Number(lost[1]), oneLine(lost[2] ?? 'no reason is given', 200));
  }
  return {
    finished: [...finished].filter((vmid) => !failed.has(vmid)),
    failed: [...failed].map(([vmid, reason]) => ({ vmid, reason })),
  };
}
