import type { Observation } from '#agents/sentinel/check.ts';
import { formatDuration } from '#config/duration.ts';
import { fewAtOnce } from './few-at-once.ts';
import { outcomeOf } from './proxmox-backup-runs.ts';
import { isGood } from './proxmox-guest-tasks.ts';
import {
  type Blind,
  called,
  callsAtOnce,
  type Guest,
  isAsleep,
  onlineNodes,
  type ProxmoxLook,
  type Seen,
} from './proxmox-look.ts';
import { Uncovered, type Volume, Volumes } from './proxmox-shapes.ts';
import { asleep, level, state } from './reading.ts';
import { remember } from './remembered.ts';

const hourMs = 3_600_000;
const maximumRemembered = 1_500;

interface Newest {
  /** Epoch ms. */
  at: number;
  isBad: boolean;
}

/**
 * How old the newest backup of each guest is, and which guests no job covers: two different things. What a storage that
 * sleeps holds is known from looks before and from the tasks that wrote to it.
 */
export async function observeBackups(look: ProxmoxLook): Promise<Seen> {
  const guests = look.guests.filter(({ vmid }) => !look.options.backups.ignore.includes(vmid));
  const uncovered = await look.api.get(Uncovered, '/cluster/backup-info/not-backed-up');
  const { volumes, hidden } = await listVolumes(look);
  const newest = newestOf(volumes);
  if (hidden.length > 0) {
    await addTasks(look, newest);
    for (const [vmid, at] of pairsIn(look.context.memory.get('backups'))) note(newest, vmid, { at, isBad: false });
  }
  const ages = [...newest].map(([vmid, { at }]) => [vmid, at]);
  remember(look.context.memory, 'backups', ages.slice(0, maximumRemembered));
  const bare = uncovered.is === 'value' ? new Set(uncovered.value.map(({ vmid }) => vmid)) : undefined;
  const blind: Blind[] = uncovered.is === 'value' ? [] : [{ resource: 'backup jobs', reason: uncovered.reason }];
  const isNew = newGuests(look);
  const isBlind = hidden.some(({ isWished }) => !isWished);
  for (const { title, reason, isWished } of hidden) if (!isWished) blind.push({ resource: title, reason });
  return {
    blind,
    observations: [
      ...guests.flatMap((guest) => coverage(guest, bare)),
      ...guests.flatMap((guest) => freshness(guest, { look, newest: newest.get(guest.vmid), bare, isBlind, isNew })),
      ...guests.flatMap((guest) => soundness(guest, newest.get(guest.vmid))),
    ],
  };
}

interface HiddenStorage {
  title: string;
  reason: string;
  /** It rests as it may. */
  isWished: boolean;
}

async function listVolumes(look: ProxmoxLook): Promise<{ volumes: Volume[]; hidden: HiddenStorage[] }> {
  const online = new Set(onlineNodes(look).map(({ name }) => name));
  const holding = look.storages.filter(({ content }) => content?.split(',').includes('backup') === true);
  const groups = Map.groupBy(holding, ({ storage, shared, node }) => (shared ? storage : `${node}/${storage}`) ?? '');
  const results = await fewAtOnce([...groups], callsAtOnce, async ([title, places]) => {
    const name = places[0]?.storage ?? '';
    const isWished = look.options.onDemandStorages.includes(name) || places.every(({ node }) => isOnDemand(look, node));
    const place = places.find(({ node, status }) => online.has(node) && status === 'available');
    const fallback = place ?? places.find(({ node }) => online.has(node));
    if (fallback === undefined || (place === undefined && isWished)) {
      return { volumes: [], hidden: [{ title, reason: `storage ${title} is not active`, isWished }] };
    }
    const path = `/nodes/${fallback.node}/storage/${encodeURIComponent(name)}/content`;
    const answer = await look.api.get(Volumes, path, { content: 'backup' });
    if (answer.is === 'value') return { volumes: answer.value, hidden: [] };
    return { volumes: [], hidden: [{ title, reason: answer.reason, isWished }] };
  });
  const removed: HiddenStorage[] = disabledStorages(look, groups);
  return {
    volumes: results.flatMap((one) => one.volumes),
    hidden: [...results.flatMap((one) => one.hidden), ...removed],
  };
}

/** A storage that is disabled while it sleeps is in no list at all. */
function disabledStorages(look: ProxmoxLook, groups: ReadonlyMap<string, unknown>): HiddenStorage[] {
  return look.options.onDemandStorages
    .filter((name) => ![...groups.keys()].some((title) => title === name || title.endsWith(`/${name}`)))
    .map((name) => ({ title: name, reason: 'it is not in use', isWished: true }));
}

function isOnDemand(look: ProxmoxLook, node: string): boolean {
  return look.options.onDemandNodes.includes(node);
}

function newestOf(volumes: readonly Volume[]): Map<number, Newest> {
  const newest = new Map<number, Newest>();
  for (const { vmid, ctime, verification } of volumes) {
    if (vmid !== undefined) note(newest, vmid, { at: ctime * 1_000, isBad: verification?.state === 'failed' });
  }
  return newest;
}

function note(newest: Map<number, Newest>, vmid: number, found: Newest): void {
  const known = newest.get(vmid);
  if (known === undefined || known.at < found.at) newest.set(vmid, found);
}

/** What tasks say that they wrote, for storages that cannot be listed now. */
async function addTasks(look: ProxmoxLook, newest: Map<number, Newest>): Promise<void> {
  for (const { name } of onlineNodes(look)) {
    const answer = await look.tasksOf(name);
    if (answer.is !== 'value') continue;
    const runs = answer.value.filter(({ type, endtime }) => type === 'vzdump' && endtime !== undefined);
    for (const task of runs.toSorted((a, b) => b.starttime - a.starttime).slice(0, 10)) {
      const outcome = await outcomeOf(look, name, task);
      const at = task.starttime * 1_000;
      if (isGood(task.status) || (outcome?.finished.length ?? 0) > 0) {
        for (const vmid of outcome?.finished ?? []) note(newest, vmid, { at, isBad: false });
      }
    }
  }
}

/** Guests that appeared since the first look have as long as a warning takes; those that were there then have had it. */
function newGuests(look: ProxmoxLook): (vmid: number) => boolean {
  const { memory } = look.context;
  const known = memory.get('appeared') === undefined ? undefined : new Map(pairsIn(memory.get('appeared')));
  const appeared = look.guests.map(
    ({ vmid }) => [vmid, known?.get(vmid) ?? (known === undefined ? 0 : look.now)] as const,
  );
  remember(memory, 'appeared', appeared.slice(0, maximumRemembered));
  const since = new Map(appeared);
  return (vmid) => look.now - (since.get(vmid) ?? 0) < look.options.backups.age.warning;
}

function pairsIn(value: unknown): [number, number][] {
  if (!Array.isArray(value)) return [];
  return value.filter(
    (entry): entry is [number, number] =>
      Array.isArray(entry) && typeof entry[0] === 'number' && typeof entry[1] === 'number',
  );
}

function coverage(guest: Guest, bare: ReadonlySet<number> | undefined): Observation[] {
  if (bare === undefined) return [];
  const isCovered = !bare.has(guest.vmid);
  return [
    state({
      condition: 'guest-not-backed-up',
      resource: guest.title,
      labels: guest.labels,
      summary: isCovered ? `a backup job covers ${called(guest)}` : `no backup job covers ${called(guest)}`,
      ok: isCovered,
      severity: 'warning',
      holdMs: 0,
    }),
  ];
}

/** A guest that no job covers and that never had a backup has one finding, not two. */
function freshness(
  guest: Guest,
  of: {
    look: ProxmoxLook;
    newest: Newest | undefined;
    bare: ReadonlySet<number> | undefined;
    isBlind: boolean;
    isNew: (vmid: number) => boolean;
  },
): Observation[] {
  const { look, newest, bare } = of;
  const said = { condition: 'backup-old', resource: guest.title, labels: guest.labels, holdMs: 0 };
  if (isAsleep(look, guest.node)) {
    const summary = `${called(guest)} rests with its node, and nothing in it changes`;
    return [asleep({ ...said, summary }, `${guest.node} is off, which it may`)];
  }
  if (newest === undefined) {
    // A storage that could not be listed may hold it.
    if (bare?.has(guest.vmid) === true || of.isBlind) return [];
    const isNew = of.isNew(guest.vmid);
    const summary = `${called(guest)} has no backup${isNew ? ', and is new' : ''}`;
    return [state({ ...said, summary, ok: isNew, severity: 'critical' })];
  }
  const ageMs = Math.max(0, look.now - newest.at);
  const { age } = look.options.backups;
  return [
    level({
      ...said,
      summary: `the newest backup of ${called(guest)} is ${formatDuration(Math.floor(ageMs / 60_000) * 60_000)} old`,
      value: ageMs / hourMs,
      unit: 'h',
      bad: 'above',
      warning: age.warning / hourMs,
      critical: age.critical / hourMs,
    }),
  ];
}

function soundness(guest: Guest, newest: Newest | undefined): Observation[] {
  if (newest === undefined) return [];
  return [
    state({
      condition: 'backup-corrupt',
      resource: guest.title,
      labels: guest.labels,
      summary: `the newest backup of ${called(guest)} ${newest.isBad ? 'failed its verification' : 'is not known to be bad'}`,
      ok: !newest.isBad,
      severity: 'critical',
      holdMs: 0,
    }),
  ];
}
