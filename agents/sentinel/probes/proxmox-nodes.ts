import type { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import { fewAtOnce } from './few-at-once.ts';
import { isProxiedSilence } from './proxmox-api.ts';
import {
  blindNodes,
  callsAtOnce,
  onlineNodes,
  percentUsed,
  type ProxmoxLook,
  type ProxmoxNode,
  type Seen,
} from './proxmox-look.ts';
import { ClusterStatus, HaStatus, NodeStatus } from './proxmox-shapes.ts';
import { asleep, level, state } from './reading.ts';
import { formatBytes, oneLine } from './text.ts';

/** As the table of thresholds has them. */
const cpuHoldMs = 600_000;
const memoryHoldMs = 300_000;

/** Quorum. A single node has no cluster to be out of. */
export async function observeCluster(look: ProxmoxLook): Promise<Seen> {
  const answer = await look.api.get(ClusterStatus, '/cluster/status');
  if (answer.is !== 'value') return { observations: [], blind: [{ resource: 'cluster', reason: answer.reason }] };
  const cluster = answer.value.find(({ type }) => type === 'cluster');
  if (cluster === undefined) return { observations: [], blind: [] };
  const online = look.nodes.filter(({ is }) => is === 'online').length;
  const total = cluster.nodes ?? look.nodes.length;
  return {
    blind: [],
    observations: [
      state({
        condition: 'cluster-quorum-lost',
        resource: cluster.name,
        summary:
          cluster.quorate === true
            ? `cluster ${cluster.name} has a quorum, ${online} of ${total} nodes online`
            : `cluster ${cluster.name} has no quorum, ${online} of ${total} nodes online: nothing can be started or changed`,
        ok: cluster.quorate === true,
        severity: 'critical',
        labels: { cluster: oneLine(cluster.name, 100) },
      }),
    ],
  };
}

export async function observeNodes(look: ProxmoxLook): Promise<Seen> {
  const details = await fewAtOnce(onlineNodes(look), callsAtOnce, (node) => observeOnline(look, node));
  return {
    observations: [
      ...look.nodes.map(presence),
      ...onlineNodes(look).flatMap((node) => levelsOf(node, look)),
      ...details.flatMap(({ observations }) => observations),
    ],
    blind: [...blindNodes(look), ...details.flatMap(({ blind }) => blind)],
  };
}

function presence({ name, is, resource }: ProxmoxNode): Observation {
  const said = { condition: 'node-down', resource: name, labels: { node: name } };
  if (is === 'asleep')
    return asleep({ ...said, summary: `node ${name} is off, which it may` }, 'an on-demand node is off');
  const isUp = is === 'online';
  const text = isUp ? 'is online' : `is ${oneLine(resource.status, 30)} to its cluster`;
  return state({ ...said, summary: `node ${name} ${text}`, ok: isUp, severity: 'critical' });
}

/** What the list of all resources says of a node. */
function levelsOf({ name, resource }: ProxmoxNode, { options }: ProxmoxLook): Observation[] {
  const said = { resource: name, labels: { node: name } };
  const { cpu, mem, maxmem, disk, maxdisk } = resource;
  return [
    ...(cpu === undefined
      ? []
      : [
          perCent({
            ...said,
            condition: 'node-cpu-high',
            summary: `node ${name} uses ${percent(cpu)} of its processors`,
            value: cpu * 100,
            warning: 85,
            critical: 95,
            holdMs: cpuHoldMs,
          }),
        ]),
    ...shareOf(mem, maxmem, (value) =>
      perCent({
        ...said,
        condition: 'node-memory-low',
        summary: `node ${name} uses ${percent(value / 100)} of ${formatBytes(maxmem ?? 0)} memory`,
        value,
        warning: 90,
        critical: 97,
        holdMs: memoryHoldMs,
      }),
    ),
    ...shareOf(disk, maxdisk, (value) =>
      perCent({
        ...said,
        condition: 'node-disk-full',
        summary: `the root filesystem of node ${name} is ${percent(value / 100)} full of ${formatBytes(maxdisk ?? 0)}`,
        value,
        ...options.usage,
      }),
    ),
  ];
}

function shareOf(
  used: number | undefined,
  whole: number | undefined,
  make: (value: number) => Observation,
): Observation[] {
  const value = percentUsed(used, whole);
  return value === undefined ? [] : [make(value)];
}

/** A share of something, in per cent, of which much is bad. */
function perCent(said: Omit<Parameters<typeof level>[0], 'unit' | 'bad'>): Observation {
  return level({ ...said, unit: '%', bad: 'above' });
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

async function observeOnline(look: ProxmoxLook, { name }: ProxmoxNode): Promise<Seen> {
  const answer = await look.api.get(NodeStatus, `/nodes/${name}/status`);
  const said = { resource: name, labels: { node: name } };
  if (isProxiedSilence(answer)) {
    const summary = `node ${name} is in the cluster, but its API does not answer`;
    return {
      observations: [state({ ...said, condition: 'node-api-down', summary, ok: false, severity: 'warning' })],
      blind: [],
    };
  }
  if (answer.is !== 'value')
    return { observations: [], blind: [{ resource: `${name} status`, reason: answer.reason }] };
  const { wait, swap } = answer.value;
  const version = answer.value.pveversion?.split('/')[1] ?? '';
  return {
    blind: [],
    observations: [
      state({
        ...said,
        condition: 'node-api-down',
        summary: `node ${name} answers (${version})`,
        ok: true,
        severity: 'warning',
      }),
      ...(wait === undefined
        ? []
        : [
            perCent({
              ...said,
              condition: 'node-disk-wait',
              summary: `node ${name} waits for its disks ${percent(wait)} of the time`,
              value: wait * 100,
              warning: 20,
              holdMs: cpuHoldMs,
            }),
          ]),
      ...shareOf(swap?.used, swap?.total, (value) =>
        perCent({
          ...said,
          condition: 'node-swap-full',
          summary: `node ${name} uses ${percent(value / 100)} of its swap`,
          value,
          warning: 50,
          critical: 80,
          holdMs: memoryHoldMs,
        }),
      ),
    ],
  };
}

type HaItem = z.output<typeof HaStatus>[number];

/** HA services that are stuck, and managers that went silent while their node is online. */
export async function observeHa(look: ProxmoxLook): Promise<Seen> {
  const answer = await look.api.get(HaStatus, '/cluster/ha/status/current');
  if (answer.is !== 'value') return { observations: [], blind: [{ resource: 'ha', reason: answer.reason }] };
  const off = new Set(look.nodes.filter(({ is }) => is !== 'online').map(({ name }) => name));
  const observations = answer.value.flatMap((item) => {
    if (item.type === 'service') return [haService(item)];
    const isManager = item.type === 'lrm' || item.type === 'master';
    // A node that is off has a silent manager; that is said once.
    return isManager && !off.has(item.node) ? [haManager(item)] : [];
  });
  return { observations, blind: [] };
}

function haService({ id, sid = id, state: wanted, status, node }: HaItem): Observation {
  const now = wanted ?? status;
  return state({
    condition: 'ha-service-failed',
    resource: sid,
    summary: `HA service ${sid} is ${now} on ${node}`,
    labels: { node: oneLine(node, 100), sid: oneLine(sid, 100) },
    ok: now !== 'error' && now !== 'fence' && now !== 'recovery',
    severity: 'critical',
  });
}

function haManager({ id, type, node, status }: HaItem): Observation {
  return state({
    condition: 'ha-manager-silent',
    resource: id,
    summary: `HA ${type}: ${status}`,
    labels: { node: oneLine(node, 100) },
    ok: !/old timestamp|dead/i.test(status),
    severity: 'warning',
  });
}
