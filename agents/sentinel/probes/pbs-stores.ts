import type { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import { formatDuration } from '#config/duration.ts';
import type { PbsLook, PbsSeen } from './pbs-look.ts';
import { type DatastoreUsage, GarbageCollection, Jobs, PbsTasks } from './pbs-shapes.ts';
import { isGood } from './proxmox-guest-tasks.ts';
import { level, state } from './reading.ts';
import { formatBytes, oneLine } from './text.ts';

const maximumFailed = 100;
/** Clients read and consoles open all the time. */
const quietTasks = new Set(['reader', 'termproxy', 'logrotate', 'aptupdate']);

/** Room, and when there will be none. */
export function storeUsage(usage: DatastoreUsage, { options, now }: PbsLook): Observation[] {
  const { store, total, used, error } = usage;
  const labels = { store: oneLine(store, 100) };
  const said = { resource: store, labels };
  const isBroken = error !== undefined && error !== null && error !== '';
  const failed = state({
    ...said,
    condition: 'pbs-store-failed',
    summary: isBroken ? `datastore ${store} cannot be used: ${oneLine(error, 200)}` : `datastore ${store} can be used`,
    ok: !isBroken,
    severity: 'critical',
  });
  if (isBroken || typeof total !== 'number' || typeof used !== 'number' || total <= 0) return [failed];
  const value = (used / total) * 100;
  const fullAt = (usage['estimated-full-date'] ?? 0) * 1_000;
  const leftMs = fullAt - now;
  const isFilling = leftMs > 0 && leftMs < options.fullWithin;
  return [
    failed,
    level({
      ...said,
      condition: 'pbs-store-full',
      summary: `datastore ${store} is ${Math.round(value)} % full, ${formatBytes(Math.max(0, total - used))} free`,
      value,
      unit: '%',
      bad: 'above',
      ...options.usage,
    }),
    state({
      ...said,
      condition: 'pbs-store-filling',
      // Past or 0 means that it is not filling.
      summary:
        leftMs > 0 ? `datastore ${store} will be full in ${span(leftMs)}` : `datastore ${store} is not filling up`,
      ok: !isFilling,
      severity: 'warning',
    }),
  ];
}

/** Garbage collection frees the room that pruning gave up, and finds damaged chunks. */
export async function observeCollection(look: PbsLook, store: string): Promise<PbsSeen> {
  const answer = await look.api.get(GarbageCollection, `/admin/datastore/${encodeURIComponent(store)}/gc`);
  const condition = 'pbs-collection-old';
  if (answer.is !== 'value') {
    return { observations: [], blind: [{ condition, resource: `${store} garbage collection`, reason: answer.reason }] };
  }
  const { value } = answer;
  const bad = value['still-bad'] ?? 0;
  const said = { resource: store, labels: { store: oneLine(store, 100) }, holdMs: 0 };
  return {
    blind: [],
    observations: [
      collectionAge(look, { store, value }),
      state({
        ...said,
        condition: 'pbs-chunks-damaged',
        summary: bad > 0 ? `datastore ${store} has ${bad} damaged chunks` : `datastore ${store} has no damaged chunks`,
        ok: bad === 0,
        severity: 'critical',
      }),
    ],
  };
}

function collectionAge({ options, now }: PbsLook, of: { store: string; value: GarbageCollection }): Observation {
  const { store, value } = of;
  const endedAt = (value['last-run-endtime'] ?? 0) * 1_000;
  const result = value['last-run-state'] ?? 'OK';
  const isOld = now - endedAt >= options.collectedWithin;
  const when = endedAt === 0 ? 'never ran' : `ran ${span(now - endedAt)} ago`;
  const how = isGood(result) ? '' : ` and failed: ${oneLine(result, 160)}`;
  return state({
    condition: 'pbs-collection-old',
    resource: store,
    labels: { store: oneLine(store, 100) },
    summary: `the garbage collection of ${store} ${when}${how}`,
    ok: !isOld && isGood(result),
    severity: 'warning',
    holdMs: 0,
  });
}

/** Scheduled jobs whose last run failed. */
export async function observeJobs(look: PbsLook, sort: 'verify' | 'prune' | 'sync'): Promise<PbsSeen> {
  const answer = await look.api.get(Jobs, `/admin/${sort}`);
  const condition = 'pbs-job-failed';
  if (answer.is !== 'value') {
    return { observations: [], blind: [{ condition, resource: `${sort} jobs`, reason: answer.reason }] };
  }
  const observations = answer.value
    .filter((job) => job.disable !== true)
    .map((job) => {
      const result = job['last-run-state'] ?? 'OK';
      const upid = job['last-run-upid'];
      return state({
        condition,
        resource: `${sort} ${job.id}`,
        labels: {
          job: oneLine(job.id, 100),
          ...(typeof job.store === 'string' && { store: oneLine(job.store, 100) }),
        },
        ...(typeof upid === 'string' && { clues: { upid: oneLine(upid, 300) } }),
        summary: isGood(result)
          ? `the last run of the ${sort} job ${job.id} succeeded`
          : `the last run of the ${sort} job ${job.id} failed: ${oneLine(result, 200)}`,
        ok: isGood(result),
        severity: sort === 'verify' ? 'critical' : 'warning',
        holdMs: 0,
      });
    });
  return { observations, blind: [] };
}

type PbsTask = z.output<typeof PbsTasks>[number];

/** Tasks whose last run failed: backups that clients sent, garbage collections, verifications by hand. */
export async function observePbsTasks(look: PbsLook): Promise<PbsSeen> {
  const since = Math.floor((look.now - look.options.taskWindow) / 1_000);
  const answer = await look.api.get(PbsTasks, '/nodes/localhost/tasks', { since, limit: 1_000 });
  const condition = 'pbs-task-failed';
  if (answer.is !== 'value')
    return { observations: [], blind: [{ condition, resource: 'tasks', reason: answer.reason }] };
  const ended = answer.value.filter((task) => typeof task.endtime === 'number' && !quietTasks.has(task.worker_type));
  const sorted = ended.toSorted((a, b) => (a.endtime ?? 0) - (b.endtime ?? 0));
  const lasts = new Map(sorted.map((task) => [titleOf(task), task]));
  const failed = [...lasts.values()].filter(({ status }) => !isGood(status ?? undefined)).slice(-maximumFailed);
  return {
    blind: [],
    observations: [
      state({
        condition,
        resource: 'tasks',
        summary: `${ended.length} tasks, ${failed.length} failed last`,
        ok: true,
        severity: 'warning',
      }),
      ...failed.map((task) =>
        state({
          condition,
          resource: titleOf(task),
          labels: { task: oneLine(task.worker_type, 60) },
          clues: { upid: oneLine(task.upid, 300) },
          summary: `task ${titleOf(task)} failed: ${oneLine(task.status ?? 'no reason is given', 200)}`,
          ok: false,
          severity:
            task.worker_type.startsWith('backup') || task.worker_type.startsWith('verif') ? 'critical' : 'warning',
          holdMs: 0,
        }),
      ),
    ],
  };
}

function titleOf({ worker_type: type, worker_id: id }: PbsTask): string {
  return oneLine(typeof id === 'string' && id !== '' ? `${type} ${id}` : type, 150);
}

function span(ms: number): string {
  return formatDuration(Math.floor(ms / 60_000) * 60_000);
}
