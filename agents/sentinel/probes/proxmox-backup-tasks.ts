import type { Observation } from '#agents/sentinel/check.ts';
import { outcomeOf } from './proxmox-backup-runs.ts';
import { isGood } from './proxmox-guest-tasks.ts';
import { called, type ProxmoxLook } from './proxmox-look.ts';
import type { Task } from './proxmox-shapes.ts';
import { state } from './reading.ts';
import { oneLine } from './text.ts';

interface LastBackup {
  task: Task;
  /** Why it failed; undefined when it did not. */
  reason: string | undefined;
}

/** How the last backup of each guest ended, and of the node as a whole, by its backup tasks from old to new. */
export async function observeBackupTasks(
  look: ProxmoxLook,
  node: string,
  tasks: readonly Task[],
): Promise<Observation[]> {
  const lasts = new Map<number, LastBackup>();
  let whole: LastBackup | undefined;
  for (const task of tasks) whole = (await noteTask(task, { look, node, lasts })) ?? whole;
  return [
    ...[...lasts].flatMap(([vmid, last]) => guestBackup(vmid, last, { look, node })),
    ...(whole === undefined ? [] : [jobBackup(whole, node)]),
  ];
}

/**
 * Takes one task into account; gives it back when it tells how the node stands as a whole. The log of a task for many
 * guests is read only when it failed, or when it may have mended what failed before.
 */
async function noteTask(
  task: Task,
  { look, node, lasts }: { look: ProxmoxLook; node: string; lasts: Map<number, LastBackup> },
): Promise<LastBackup | undefined> {
  const isFailed = !isGood(task.status);
  const isForMany = task.id === '';
  const mayMend = [...lasts.values()].some(({ reason }) => reason !== undefined);
  const isRead = isFailed || mayMend || !isForMany;
  const { finished, failed } = (isRead ? await outcomeOf(look, node, task) : undefined) ?? { finished: [], failed: [] };
  for (const vmid of finished) lasts.set(vmid, { task, reason: undefined });
  for (const { vmid, reason } of failed) lasts.set(vmid, { task, reason });
  if (!isFailed) return isForMany ? { task, reason: undefined } : undefined;
  // Without a guest that failed it failed as a whole: no storage, no space, or nobody may read why.
  return failed.length === 0 ? { task, reason: task.status ?? '' } : undefined;
}

function guestBackup(
  vmid: number,
  { task, reason }: LastBackup,
  of: { look: ProxmoxLook; node: string },
): Observation[] {
  const { look, node } = of;
  if (look.options.ignoreGuests.includes(vmid) || look.options.backups.ignore.includes(vmid)) return [];
  const guest = look.guests.find((one) => one.vmid === vmid);
  const name = guest === undefined ? `guest ${vmid}` : called(guest);
  return [
    state({
      condition: 'backup-failed',
      resource: guest?.title ?? `guest ${vmid}`,
      summary:
        reason === undefined ? `the backup of ${name} succeeded` : `the backup of ${name} on ${node} failed: ${reason}`,
      ok: reason === undefined,
      severity: 'critical',
      holdMs: 0,
      labels: { vmid: String(vmid), ...guest?.labels, node },
      clues: { upid: oneLine(task.upid, 300) },
    }),
  ];
}

function jobBackup({ task, reason }: LastBackup, node: string): Observation {
  const text = reason === undefined ? 'succeeded' : `failed as a whole: ${oneLine(reason, 200)}`;
  return state({
    condition: 'backup-failed',
    resource: `backups of ${node}`,
    summary: `the backup task of ${node} ${text}`,
    ok: reason === undefined,
    severity: 'critical',
    holdMs: 0,
    labels: { node },
    clues: { upid: oneLine(task.upid, 300) },
  });
}
