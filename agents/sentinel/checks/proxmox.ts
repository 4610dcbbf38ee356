import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type ApiAnswer, presence } from '#agents/sentinel/probes/api.ts';
import { createVeApi, type ProxmoxApi } from '#agents/sentinel/probes/proxmox-api.ts';
import { observeBackups } from '#agents/sentinel/probes/proxmox-backups.ts';
import { proxmoxEvidence } from '#agents/sentinel/probes/proxmox-evidence.ts';
import { observeFirewall } from '#agents/sentinel/probes/proxmox-firewall.ts';
import { observeGuests } from '#agents/sentinel/probes/proxmox-guests.ts';
import {
  absence,
  gathered,
  guestsIn,
  nodesIn,
  onceEach,
  type ProxmoxLook,
  type Seen,
} from '#agents/sentinel/probes/proxmox-look.ts';
import {
  observeCertificates,
  observeDisks,
  observeReplication,
  observeServices,
  observeUpdates,
} from '#agents/sentinel/probes/proxmox-node-looks.ts';
import { observeCluster, observeHa, observeNodes } from '#agents/sentinel/probes/proxmox-nodes.ts';
import { ProxmoxOptions, type ProxmoxPart } from '#agents/sentinel/probes/proxmox-options.ts';
import { Permissions, type Resource, Resources, type Task, Tasks } from '#agents/sentinel/probes/proxmox-shapes.ts';
import { observeStorage } from '#agents/sentinel/probes/proxmox-storage.ts';
import { observeTasks } from '#agents/sentinel/probes/proxmox-tasks.ts';
import { unseen } from '#agents/sentinel/probes/reading.ts';
import { counted } from '#agents/sentinel/probes/text.ts';

/** More than a busy node writes in two days. */
const maximumTasks = 1_000;

export const check = defineCheck({
  kind: 'proxmox',
  about:
    'A Proxmox VE cluster: quorum, nodes, guests that should run, storages, failed tasks, replication, backups, disks, firewalls.',
  options: ProxmoxOptions,
  reach: 'network',
  resourceOf: clusterName,
  observe,
  evidence: {
    about:
      "the log of the failed task, the guest's last tasks and lock, what fills a storage, why a replication failed",
    gather: (options, context, observation) => proxmoxEvidence(createVeApi(options, context), observation),
  },
});

function clusterName(options: ProxmoxOptions): string {
  return new URL(options.url).host;
}

const parts: Record<ProxmoxPart, (look: ProxmoxLook) => Promise<Seen>> = {
  cluster: observeCluster,
  nodes: observeNodes,
  guests: observeGuests,
  storage: observeStorage,
  tasks: observeTasks,
  replication: observeReplication,
  backups: observeBackups,
  services: observeServices,
  disks: observeDisks,
  ha: observeHa,
  certificates: observeCertificates,
  updates: observeUpdates,
  firewall: observeFirewall,
};

async function observe(options: ProxmoxOptions, context: CheckContext): Promise<Observation[]> {
  const api = createVeApi(options, context);
  const said = {
    condition: absence,
    resource: clusterName(options),
    name: `the Proxmox API at ${clusterName(options)}`,
  };
  const answer = await api.get(Resources, '/cluster/resources');
  if (answer.is !== 'value') return [presence(answer, said)];
  const look = lookOf(answer.value, { api, options, context });
  if (look.nodes.length === 0) {
    return [unseen({ condition: absence, resource: said.resource }, 'it names no node that it is made of')];
  }
  const summary = `${said.name} answers: ${counted(look.nodes.length, 'node')}, ${counted(look.guests.length, 'guest')}`;
  const found: Observation[] = [{ ...presence(answer, said), summary }];
  for (const part of new Set(options.look)) found.push(...gathered(look, part, await observePart(look, part)));
  return onceEach(found);
}

/** A list that is empty because the token may see nothing is no empty list. */
async function observePart(look: ProxmoxLook, part: ProxmoxPart): Promise<Seen> {
  const needed = { guests: 'VM.Audit', backups: 'VM.Audit', storage: 'Datastore.Audit' };
  const list = part === 'storage' ? look.storages : look.guests;
  if ((part === 'guests' || part === 'backups' || part === 'storage') && list.length === 0) {
    const reason = await blindness(look.api, needed[part]);
    if (reason !== undefined) return { observations: [], blind: [{ resource: part, reason }] };
  }
  return parts[part](look);
}

async function blindness(api: ProxmoxApi, privilege: string): Promise<string | undefined> {
  const answer = await api.get(Permissions, '/access/permissions');
  if (answer.is !== 'value') return answer.reason;
  const hasIt = Object.values(answer.value).some((privileges) => privilege in privileges);
  return hasIt ? undefined : `the token has no ${privilege}, so it sees none: give it the role PVEAuditor on /`;
}

function lookOf(
  resources: readonly Resource[],
  of: { api: ProxmoxApi; options: ProxmoxOptions; context: CheckContext },
): ProxmoxLook {
  const { api, options, context } = of;
  const now = context.clock.now();
  const asked = new Map<string, Promise<ApiAnswer<Task[]>>>();
  const since = Math.floor((now - Math.max(options.taskWindow, options.backups.age.critical)) / 1_000);
  return {
    ...of,
    now,
    nodes: nodesIn(resources, options),
    guests: guestsIn(resources, options),
    storages: resources.filter(({ type, storage }) => type === 'storage' && storage !== undefined),
    tasksOf(node) {
      const known = asked.get(node) ?? api.get(Tasks, `/nodes/${node}/tasks`, { since, limit: maximumTasks });
      asked.set(node, known);
      return known;
    },
  };
}
