import type { ProxmoxApi } from './proxmox-api.ts';
import type { Guest } from './proxmox-look.ts';
import { type Task, Tasks } from './proxmox-shapes.ts';

/** Tasks that begin or end the life of a guest; backups and consoles do not. */
const lifeTask = /^(?:vz|qm|ha)(?:start|stop|shutdown|reboot|suspend|resume|reset|migrate|destroy|rollback)$/;
const stopTask = /^(?:vz|qm|ha)(?:stop|shutdown|suspend)$/;

/** The last tasks of a guest, newest first; none when they cannot be read. */
export async function guestTasks(
  api: ProxmoxApi,
  guest: Pick<Guest, 'node' | 'vmid'>,
  of: { isLifeOnly: boolean },
): Promise<Task[]> {
  const answer = await api.get(Tasks, `/nodes/${guest.node}/tasks`, { vmid: guest.vmid, limit: 50 });
  if (answer.is !== 'value') return [];
  const sorted = answer.value.toSorted((a, b) => b.starttime - a.starttime);
  return of.isLifeOnly ? sorted.filter(({ type }) => lifeTask.test(type)) : sorted;
}

/** Whether a task stopped its guest as was wished. */
export function isStopTask({ type, status }: Task): boolean {
  return stopTask.test(type) && isGood(status);
}

/** `WARNINGS: 1` is a success with something to read. */
export function isGood(status: string | undefined): boolean {
  return status === 'OK' || (status !== undefined && /^WARNINGS: \d+$/.test(status));
}
