import { isGood } from './proxmox-guest-tasks.ts';
import type { ProxmoxLook } from './proxmox-look.ts';
import { LogLines, type Task } from './proxmox-shapes.ts';
import { remember } from './remembered.ts';
import { oneLine } from './text.ts';
import { type BackupOutcome, parseVzdumpLog } from './vzdump-log.ts';

/** A night's log of some hundred guests. */
const maximumLogLines = 10_000;
const maximumRemembered = 30;
const maximumNumbers = 4_000;

/** What a finished backup task did to which guest; undefined where its log is needed and cannot be read. */
export async function outcomeOf(look: ProxmoxLook, node: string, task: Task): Promise<BackupOutcome | undefined> {
  const vmid = /^\d{3,9}$/.test(task.id) ? Number(task.id) : undefined;
  if (vmid !== undefined) {
    if (isGood(task.status)) return { finished: [vmid], failed: [] };
    return { finished: [], failed: [{ vmid, reason: oneLine(task.status ?? '', 200) }] };
  }
  const { memory } = look.context;
  const known = outcomesIn(memory.get('vzdump'));
  const remembered = known.get(task.upid);
  if (remembered !== undefined) return remembered;
  const answer = await look.api.get(LogLines, taskPath(node, task.upid, 'log'), { start: 0, limit: maximumLogLines });
  if (answer.is !== 'value') return undefined;
  const outcome = parseVzdumpLog(answer.value.map(({ t }) => t ?? ''));
  // Read anew: another task may have been remembered meanwhile.
  remember(memory, 'vzdump', kept([[task.upid, outcome], ...outcomesIn(memory.get('vzdump'))]));
  return outcome;
}

/** A UPID holds colons, which a path must not. */
export function taskPath(node: string, upid: string, what: 'log' | 'status'): string {
  return `/nodes/${node}/tasks/${encodeURIComponent(upid)}/${what}`;
}

function kept(entries: readonly (readonly [string, BackupOutcome])[]): [string, BackupOutcome][] {
  let numbers = 0;
  return entries.slice(0, maximumRemembered).flatMap(([upid, outcome]) => {
    numbers += outcome.finished.length + outcome.failed.length * 30;
    return numbers > maximumNumbers ? [] : [[upid, outcome]];
  });
}

function outcomesIn(value: unknown): Map<string, BackupOutcome> {
  return new Map(Array.isArray(value) ? value.filter(isEntry) : []);
}

function isEntry(value: unknown): value is [string, BackupOutcome] {
  if (!Array.isArray(value) || typeof value[0] !== 'string') return false;
  const outcome: unknown = value[1];
  return (
    outcome !== null &&
    typeof outcome === 'object' &&
    'finished' in outcome &&
    Array.isArray(outcome.finished) &&
    'failed' in outcome &&
    Array.isArray(outcome.failed)
  );
}
