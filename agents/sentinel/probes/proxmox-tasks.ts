import type { Observation } from '#agents/sentinel/check.ts';
import { fewAtOnce } from './few-at-once.ts';
import { observeBackupTasks } from './proxmox-backup-tasks.ts';
import { isGood } from './proxmox-guest-tasks.ts';
import {
  type Blind,
  blindNodes,
  called,
  callsAtOnce,
  onlineNodes,
  type ProxmoxLook,
  type Seen,
} from './proxmox-look.ts';
import type { Task } from './proxmox-shapes.ts';
import { state, unseen } from './reading.ts';
import { counted, oneLine } from './text.ts';

/** A worker that was killed before it wrote how it ended, as by a power cut. */
const noEnd = 'unexpected status';
const maximumSubjects = 100;

/** Tasks whose last run failed; a later success of the same sort on the same thing ends it. */
export async function observeTasks(look: ProxmoxLook): Promise<Seen> {
  const blind: Blind[] = blindNodes(look);
  const found = await fewAtOnce(onlineNodes(look), callsAtOnce, async ({ name }) => {
    const answer = await look.tasksOf(name);
    if (answer.is !== 'value') {
      blind.push({ resource: `${name} tasks`, reason: answer.reason });
      return [];
    }
    return observeNode(look, name, answer.value);
  });
  return { observations: found.flat(), blind };
}

async function observeNode(look: ProxmoxLook, node: string, tasks: readonly Task[]): Promise<Observation[]> {
  const since = look.now / 1_000 - look.options.taskWindow / 1_000;
  const ended = tasks
    .filter(({ endtime, type }) => endtime !== undefined && !look.options.ignoreTasks.includes(type))
    .filter(({ endtime }) => (endtime ?? 0) >= since)
    .toSorted((a, b) => (a.endtime ?? 0) - (b.endtime ?? 0));
  const lasts = new Map(ended.filter(({ type }) => type !== 'vzdump').map((task) => [`${task.type} ${task.id}`, task]));
  const failed = [...lasts.values()].filter(({ status }) => !isGood(status)).slice(-maximumSubjects);
  const backups = await observeBackupTasks(
    look,
    node,
    ended.filter(({ type }) => type === 'vzdump'),
  );
  return [
    state({
      condition: 'task-failed',
      resource: `${node} tasks`,
      summary: `${counted(ended.length, 'task')} on ${node}, ${failed.length} failed last`,
      ok: true,
      severity: 'warning',
    }),
    ...failed.map((task) => failure(task, { node, look })),
    ...backups,
  ];
}

function failure(task: Task, { node, look }: { node: string; look: ProxmoxLook }): Observation {
  const guest = look.guests.find(({ vmid }) => String(vmid) === task.id);
  const of = guest === undefined ? (task.id === '' ? '' : ` ${task.id}`) : ` ${called(guest)}`;
  const said = {
    condition: 'task-failed',
    resource: oneLine(`${node} ${task.type}${task.id === '' ? '' : ` ${task.id}`}`, 150),
    labels: { node, task: oneLine(task.type, 60), ...guest?.labels },
    clues: { upid: oneLine(task.upid, 300) },
  };
  if (task.status === noEnd) return unseen(said, `the task ${task.type}${of} on ${node} ended without saying how`);
  const summary = `task ${task.type}${of} by ${task.user} on ${node} failed: ${oneLine(task.status ?? '', 200)}`;
  return state({ ...said, summary, ok: false, severity: 'warning', holdMs: 0 });
}
