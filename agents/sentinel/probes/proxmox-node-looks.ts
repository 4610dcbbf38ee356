import type { Observation } from '#agents/sentinel/check.ts';
import { formatDuration } from '#config/duration.ts';
import type { z } from 'zod';
import { observeLifetime } from './certificate.ts';
import { fewAtOnce } from './few-at-once.ts';
import {
  type Blind,
  blindNodes,
  callsAtOnce,
  isAsleep,
  onlineNodes,
  type ProxmoxLook,
  type Seen,
} from './proxmox-look.ts';
import {
  Disks,
  NodeCertificates,
  NodeServices,
  Pools,
  type Replication,
  Replications,
  Updates,
} from './proxmox-shapes.ts';
import { asleep, level, state } from './reading.ts';
import { remember } from './remembered.ts';
import { counted, formatBytes, oneLine } from './text.ts';

const dayMs = 86_400_000;
/** A job that is due for so long was not even tried: pvescheduler stands still. */
const overdueMs = 3_600_000;
const core = new Set(['pveproxy', 'pvedaemon', 'pvestatd', 'pve-cluster', 'corosync', 'pvescheduler']);

/** One call to each online node; what refuses is blind there, and a node that is down everywhere. */
export async function perNode<T>(
  look: ProxmoxLook,
  of: { schema: z.ZodType<T>; path: string; what: string },
  read: (value: T, node: string) => Observation[],
): Promise<Seen> {
  const blind: Blind[] = blindNodes(look);
  const found = await fewAtOnce(onlineNodes(look), callsAtOnce, async ({ name }) => {
    const answer = await look.api.get(of.schema, `/nodes/${name}${of.path}`);
    if (answer.is === 'value') return read(answer.value, name);
    blind.push({ resource: `${name} ${of.what}`, reason: answer.reason });
    return [];
  });
  return { observations: found.flat(), blind };
}

export function observeReplication(look: ProxmoxLook): Promise<Seen> {
  return perNode(look, { schema: Replications, path: '/replication', what: 'replication' }, (jobs, node) =>
    jobs.flatMap((job) => replicationOf(job, { node, look })),
  );
}

function replicationOf(job: Replication, { node, look }: { node: string; look: ProxmoxLook }): Observation[] {
  const target = oneLine(job.target, 60);
  const vmid = String(job.guest ?? job.id.split('-')[0] ?? '');
  const guest = look.guests.find((one) => String(one.vmid) === vmid);
  const labels = { vmid, node, target, job: oneLine(job.id, 60), ...(guest !== undefined && { guest: guest.name }) };
  const said = { resource: `replication ${job.id}`, labels };
  const what = `the replication of guest ${vmid} to ${target}`;
  const rest = restOf(job, look);
  if (rest !== undefined)
    return [asleep({ ...said, condition: 'replication-failing', summary: `${what} rests: ${rest}` }, rest)];
  const overdueFor = overdue(job, look.now);
  const isOverdue = overdueFor >= overdueMs && job.fail_count === 0;
  return [
    state({
      ...said,
      condition: 'replication-failing',
      summary: `${what} ${successOf(job, look.now)}`,
      ok: job.fail_count === 0,
      severity: job.fail_count >= 3 ? 'critical' : 'warning',
    }),
    state({
      ...said,
      condition: 'replication-overdue',
      summary: isOverdue ? `${what} is due for ${minutes(overdueFor)} and was not tried` : `${what} is tried on time`,
      ok: !isOverdue,
      severity: 'warning',
    }),
  ];
}

function restOf(job: Replication, look: ProxmoxLook): string | undefined {
  if (job.disable === true) return 'the job is disabled';
  return isAsleep(look, job.target) ? `${oneLine(job.target, 60)} is off, which it may` : undefined;
}

function successOf({ last_sync: last = 0, fail_count: fails, error }: Replication, now: number): string {
  const since = last === 0 ? 'never' : `${minutes(now - last * 1_000)} ago`;
  if (fails === 0) return `works, last ${since}`;
  const why = error === undefined ? '' : `: ${oneLine(error, 200)}`;
  return `failed ${counted(fails, 'time')} in a row, last success ${since}${why}`;
}

/** How long it is due without running; 0 while it runs. */
function overdue({ next_sync: next = 0, pid }: Replication, now: number): number {
  return next === 0 || pid !== undefined ? 0 : Math.max(0, now - next * 1_000);
}

function minutes(ms: number): string {
  return formatDuration(Math.floor(ms / 60_000) * 60_000);
}

export function observeServices(look: ProxmoxLook): Promise<Seen> {
  return perNode(look, { schema: NodeServices, path: '/services', what: 'services' }, (services, node) =>
    services.flatMap((service) => {
      // Masked, not installed or switched off: nobody expects it to run. corosync is so on a single node.
      const isWanted = service['unit-state'] === 'enabled';
      const isCore = core.has(service.service);
      const isDown = isCore ? service['active-state'] !== 'active' : service['active-state'] === 'failed';
      if (!isWanted || (!isCore && !isDown)) return [];
      const text = `${oneLine(service['active-state'], 30)} (${oneLine(service.state, 30)})`;
      return [
        state({
          condition: 'node-service-down',
          resource: `${node} ${service.service}`,
          labels: { node, unit: `${oneLine(service.service, 100)}.service` },
          summary: `${service.service} on ${node} is ${text}`,
          ok: !isDown,
          severity: isCore ? 'critical' : 'warning',
        }),
      ];
    }),
  );
}

/** SMART and ZFS. A disk that says nothing about itself, as behind a controller, is no news. */
export async function observeDisks(look: ProxmoxLook): Promise<Seen> {
  const disks = await perNode(look, { schema: Disks, path: '/disks/list', what: 'disks' }, (list, node) =>
    list.flatMap((disk) => diskOf(disk, node)),
  );
  const pools = await perNode(look, { schema: Pools, path: '/disks/zfs', what: 'ZFS pools' }, (list, node) =>
    list.flatMap((pool) => poolOf(pool, node)),
  );
  return { observations: [...disks.observations, ...pools.observations], blind: [...disks.blind, ...pools.blind] };
}

function diskOf(disk: z.output<typeof Disks>[number], node: string): Observation[] {
  const resource = `${node} ${disk.devpath}`;
  const labels = { node, disk: oneLine(disk.devpath, 100), serial: oneLine(disk.serial ?? '', 60) };
  const name = `disk ${disk.devpath} (${oneLine(disk.model ?? 'unknown', 60)}) of ${node}`;
  const isKnown = disk.health !== 'UNKNOWN' && disk.health !== '';
  const isGood = disk.health === 'PASSED' || disk.health === 'OK';
  return [
    ...(isKnown
      ? [
          state({
            condition: 'disk-failing',
            resource,
            labels,
            summary: `${name} says of its health: ${oneLine(disk.health, 60)}`,
            ok: isGood,
            severity: 'critical',
            holdMs: 0,
          }),
        ]
      : []),
    ...(disk.wearout === undefined
      ? []
      : [
          level({
            condition: 'disk-worn',
            resource,
            labels,
            summary: `${name} has ${disk.wearout} % of its life left`,
            value: disk.wearout,
            unit: '%',
            bad: 'below',
            warning: 15,
            critical: 5,
          }),
        ]),
  ];
}

function poolOf(pool: z.output<typeof Pools>[number], node: string): Observation[] {
  const resource = `${node} ${pool.name}`;
  const labels = { node, pool: oneLine(pool.name, 100) };
  const value = pool.size > 0 ? (pool.alloc / pool.size) * 100 : 0;
  const free = formatBytes(Math.max(0, pool.size - pool.alloc));
  return [
    state({
      condition: 'zfs-pool-unhealthy',
      resource,
      labels,
      summary: `ZFS pool ${pool.name} of ${node} is ${oneLine(pool.health, 30)}`,
      ok: pool.health === 'ONLINE',
      severity: 'critical',
      holdMs: 0,
    }),
    level({
      condition: 'zfs-pool-full',
      resource,
      labels,
      summary: `ZFS pool ${pool.name} of ${node} is ${Math.round(value)} % full, ${free} free`,
      value,
      unit: '%',
      bad: 'above',
      warning: 80,
      critical: 90,
    }),
  ];
}

/** The authority of the cluster is not shown to browsers, but signs what is; all are watched. */
export function observeCertificates(look: ProxmoxLook): Promise<Seen> {
  return perNode(look, { schema: NodeCertificates, path: '/certificates/info', what: 'certificates' }, (list, node) =>
    list.flatMap((certificate) => {
      const notBefore = (certificate.notbefore ?? certificate.notafter - 730 * 86_400) * 1_000;
      const name = oneLine(certificate.filename, 80);
      const { fingerprint } = certificate;
      const chain = [{ name, notBefore, notAfter: certificate.notafter * 1_000, fingerprint }];
      return observeLifetime(chain, { resource: `${node} ${name}`, now: look.now }).map((observation) => ({
        ...observation,
        labels: { node, file: name },
      }));
    }),
  );
}

/** Known since when, so that a security update may wait for some days before it is a warning. */
export function observeUpdates(look: ProxmoxLook): Promise<Seen> {
  return perNode(look, { schema: Updates, path: '/apt/update', what: 'updates' }, (list, node) => {
    const security = list.filter(({ Origin, Section }) => /security/i.test(`${Origin} ${Section ?? ''}`));
    const key = `security ${node}`;
    const before = look.context.memory.get(key);
    const since = security.length === 0 ? undefined : typeof before === 'number' ? before : look.now;
    remember(look.context.memory, key, since ?? null);
    const ageMs = since === undefined ? 0 : look.now - since;
    const names = (security.length > 0 ? security : list).slice(0, 5).map((update) => oneLine(update.Package, 60));
    const more = security.length > 0 ? `${security.length} of them for security` : 'none for security';
    return [
      state({
        condition: 'updates-pending',
        resource: node,
        labels: { node },
        holdMs: 0,
        summary:
          list.length === 0
            ? `no updates pending on ${node}`
            : `${counted(list.length, 'update')} pending on ${node}, ${more}: ${names.join(', ')}`,
        ok: list.length === 0,
        severity: ageMs >= 14 * dayMs ? 'critical' : ageMs >= 3 * dayMs ? 'warning' : 'info',
      }),
    ];
  });
}
