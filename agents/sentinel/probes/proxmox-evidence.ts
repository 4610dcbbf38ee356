import type { Labels } from '#bus/fields.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { fewAtOnce } from './few-at-once.ts';
import type { ProxmoxApi } from './proxmox-api.ts';
import { taskPath } from './proxmox-backup-runs.ts';
import { guestTasks } from './proxmox-guest-tasks.ts';
import {
  GuestConfig,
  GuestStatus,
  LogLines,
  Replications,
  Resources,
  type Task,
  Tasks,
  Volumes,
} from './proxmox-shapes.ts';
import { evidenceOf, formatBytes, timeText } from './text.ts';

const logLines = 20;
/** A log is told from its beginning, so a longer one would be read in vain. */
const maximumLog = 5_000;
const listed = 12;

/** Names that go into a path; labels were made from them. */
const nodePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$/;
const vmidPattern = /^\d{3,9}$/;

/** What the cluster knows about a finding: failing logs, what was done to the guest just before, what fills a storage. */
export async function proxmoxEvidence(api: ProxmoxApi, observation: Observation): Promise<Evidence[]> {
  const { condition } = observation;
  const labels = { ...observation.labels, ...observation.clues };
  const gathers = condition === 'storage-full' ? [() => storageContents(api, labels)] : [];
  const node = labels['node'] ?? '';
  if (nodePattern.test(node)) gathers.push(...aboutNode(api, { node, labels, condition }));
  return (await fewAtOnce(gathers, 3, (gather) => gather())).flat();
}

function aboutNode(
  api: ProxmoxApi,
  { node, labels, condition }: { node: string; labels: Labels; condition: string },
): (() => Promise<Evidence[]>)[] {
  const { upid, vmid = '' } = labels;
  return [
    ...(upid === undefined ? [] : [() => logOf(api, node, upid)]),
    ...(vmidPattern.test(vmid)
      ? [() => guestStory(api, { node, vmid: Number(vmid), type: labels['guest_type'] })]
      : []),
    ...(condition.startsWith('replication-') ? [() => replicationError(api, node, labels['job'] ?? '')] : []),
    ...(condition.startsWith('node-') ? [() => nodeTasks(api, node)] : []),
  ];
}

async function logOf(api: ProxmoxApi, node: string, upid: string): Promise<Evidence[]> {
  const answer = await api.get(LogLines, taskPath(node, upid, 'log'), { start: 0, limit: maximumLog });
  if (answer.is !== 'value') return [];
  const lines = answer.value.map(({ t }) => t ?? '').filter((line) => line.trim() !== '');
  const errors = lines.slice(0, -logLines).filter((line) => line.startsWith('ERROR:'));
  return evidenceOf('log', 'Log of the task', [...errors.slice(-8), ...lines.slice(-logLines)]);
}

async function guestStory(
  api: ProxmoxApi,
  guest: { node: string; vmid: number; type: string | undefined },
): Promise<Evidence[]> {
  const tasks = await guestTasks(api, guest, { isLifeOnly: false });
  const told = evidenceOf(
    'change',
    `Last tasks of guest ${guest.vmid}`,
    tasks.slice(0, listed).map(taskLine).toReversed(),
  );
  if (guest.type !== 'lxc' && guest.type !== 'qemu') return told;
  const base = `/nodes/${guest.node}/${guest.type}/${guest.vmid}`;
  const status = await api.get(GuestStatus, `${base}/status/current`);
  const config = await api.get(GuestConfig, `${base}/config`);
  const lines = [
    ...(status.is === 'value' ? [`status ${status.value.status}, lock ${status.value.lock ?? 'none'}`] : []),
    ...(config.is === 'value'
      ? [
          `starts with its node: ${config.value.onboot ? 'yes' : 'no'}, lock in its configuration: ${config.value.lock ?? 'none'}`,
        ]
      : []),
  ];
  return [...evidenceOf('state', `Guest ${guest.vmid}`, lines), ...told];
}

async function nodeTasks(api: ProxmoxApi, node: string): Promise<Evidence[]> {
  const answer = await api.get(Tasks, '/cluster/tasks');
  if (answer.is !== 'value') return [];
  const tasks = answer.value.filter((task) => task.node === node).toSorted((a, b) => a.starttime - b.starttime);
  return evidenceOf('change', `Last tasks on ${node}`, tasks.slice(-listed).map(taskLine));
}

function taskLine({ starttime, type, id, user, status, endtime }: Task): string {
  const at = timeText(starttime * 1_000);
  return `${at} ${type}${id === '' ? '' : ` ${id}`} by ${user}: ${endtime === undefined ? 'running' : (status ?? 'unknown')}`;
}

async function storageContents(api: ProxmoxApi, labels: Record<string, string>): Promise<Evidence[]> {
  const storage = labels['storage'] ?? '';
  if (!nodePattern.test(storage)) return [];
  const node = labels['node'] ?? (await nodeWith(api, storage));
  if (node === undefined || !nodePattern.test(node)) return [];
  const answer = await api.get(Volumes, `/nodes/${node}/storage/${storage}/content`);
  if (answer.is !== 'value') return [];
  const largest = answer.value.toSorted((a, b) => b.size - a.size).slice(0, listed);
  return evidenceOf(
    'state',
    `Largest volumes of ${storage}`,
    largest.map(({ volid, size, ctime }) => {
      const made = ctime > 0 ? `, of ${timeText(ctime * 1_000).slice(0, 10)}` : '';
      return `${formatBytes(size)} ${volid}${made}`;
    }),
  );
}

/** A shared storage is the same on each node: any that has it can list it. */
async function nodeWith(api: ProxmoxApi, storage: string): Promise<string | undefined> {
  const answer = await api.get(Resources, '/cluster/resources', { type: 'storage' });
  if (answer.is !== 'value') return undefined;
  return answer.value.find((one) => one.storage === storage && one.status === 'available')?.node;
}

async function replicationError(api: ProxmoxApi, node: string, job: string): Promise<Evidence[]> {
  const answer = await api.get(Replications, `/nodes/${node}/replication`);
  if (answer.is !== 'value') return [];
  const found = answer.value.find(({ id }) => id === job);
  return evidenceOf('state', `Replication ${job}`, (found?.error ?? '').split('\n'));
}
