import type { Observation } from '#agents/sentinel/check.ts';
import { fewAtOnce } from './few-at-once.ts';
import { guestTasks, isStopTask } from './proxmox-guest-tasks.ts';
import {
  type Blind,
  called,
  callsAtOnce,
  type Guest,
  isAsleep,
  percentUsed,
  type ProxmoxLook,
  type Seen,
} from './proxmox-look.ts';
import { observePressure } from './proxmox-pressure.ts';
import { GuestConfig, GuestStatus, type Task, Tasks } from './proxmox-shapes.ts';
import { asleep, level, state } from './reading.ts';
import { remember } from './remembered.ts';
import { formatBytes, oneLine, timeText } from './text.ts';

/** Whether a guest starts with its node is read so often at most. */
const configAgeMs = 3_600_000;
/** Stopped guests whose story is asked for at one look; when a node starts, all of its guests are stopped. */
const maximumAsked = 10;
const maximumRemembered = 2_000;
/** A lock that no task holds may belong to one that has just ended. */
const lockHoldMs = 600_000;
const memoryHoldMs = 600_000;

/** Guests that should run and do not, stale locks, and containers short of disk or memory. */
export async function observeGuests(look: ProxmoxLook): Promise<Seen> {
  const { guests, context } = look;
  if (guests.length === 0) return { observations: [], blind: [] };
  const known = guests.filter(({ status }) => status === 'running' || status === 'stopped');
  const tasks = known.some(({ resource }) => resource.lock !== undefined) ? await runningTasks(look) : [];
  const before = numbersIn(context.memory.get('running'));
  const stopped = known.filter(({ status }) => status === 'stopped');
  const onboot = await startsWithNode(look, stopped);
  const suspects = stopped.filter((guest) => mustRun(guest, { look, onboot, before }) && !isBusy(guest, tasks));
  const asked = await fewAtOnce(suspects.slice(0, maximumAsked), callsAtOnce, (guest) => storyOf(look, guest));
  const stories = new Map(asked.map((story) => [story.vmid, story]));
  const verdicts = known.map((guest) =>
    verdictOn(guest, { look, onboot, before, tasks, story: stories.get(guest.vmid) }),
  );
  remember(
    context.memory,
    'running',
    verdicts.flatMap(({ vmid, isRemembered }) => (isRemembered ? [vmid] : [])).slice(0, maximumRemembered),
  );
  return {
    observations: [
      ...verdicts.map(({ observation }) => observation),
      ...known.flatMap((guest) => [...lockOf(guest, tasks), ...levelsOf(guest, look)]),
      ...(await observePressure(look)),
      ...guests.flatMap((guest) => (isAsleep(look, guest.node) && !known.includes(guest) ? [resting(guest)] : [])),
    ],
    blind: unreported(look, known),
  };
}

/** Guests whose status nobody knows belong to a node that is down or whose status daemon stands still. */
function unreported(look: ProxmoxLook, known: readonly Guest[]): Blind[] {
  const nodes = new Set(look.guests.filter((guest) => !known.includes(guest)).map(({ node }) => node));
  return [...nodes].flatMap((node) => {
    if (isAsleep(look, node)) return [];
    const isOnline = look.nodes.some(({ name, is }) => name === node && is === 'online');
    const reason = isOnline ? `${node} does not report its guests: see its pvestatd` : `${node} is down`;
    return [{ resource: node, reason }];
  });
}

function resting(guest: Guest): Observation {
  const said = { condition: 'guest-down', resource: guest.title, labels: guest.labels };
  return asleep({ ...said, summary: `${called(guest)} rests with its node` }, `${guest.node} is off, which it may`);
}

async function runningTasks(look: ProxmoxLook): Promise<Task[] | undefined> {
  const answer = await look.api.get(Tasks, '/cluster/tasks');
  return answer.is === 'value' ? answer.value.filter(({ endtime }) => endtime === undefined) : undefined;
}

/** A lock that a running task holds. When the tasks are not known, every lock counts as held. */
function isBusy(guest: Guest, tasks: readonly Task[] | undefined): boolean {
  const { lock } = guest.resource;
  if (lock === undefined || lock === '') return false;
  if (tasks === undefined) return true;
  // A backup of many guests is one task that names none of them.
  return tasks.some(({ id, type, node }) => id === String(guest.vmid) || (type === 'vzdump' && node === guest.node));
}

/** `onboot` of those that are stopped, kept for a while: one call each, and few stop at once. */
async function startsWithNode(look: ProxmoxLook, stopped: readonly Guest[]): Promise<ReadonlyMap<number, boolean>> {
  const { memory } = look.context;
  const kept = new Map(
    onbootIn(memory.get('onboot'))
      .filter(([, , at]) => look.now - at < configAgeMs)
      .map((e) => [e[0], e]),
  );
  const missing = stopped.filter(({ vmid }) => !kept.has(vmid) && !look.options.mayStop.includes(vmid));
  await fewAtOnce(missing, callsAtOnce, async ({ vmid, node, type }) => {
    const answer = await look.api.get(GuestConfig, `/nodes/${node}/${type}/${vmid}/config`);
    if (answer.is === 'value') kept.set(vmid, [vmid, answer.value.onboot ? 1 : 0, look.now]);
  });
  const present = new Set(stopped.map(({ vmid }) => vmid));
  const entries = [...kept.values()].filter(([vmid]) => present.has(vmid)).slice(0, maximumRemembered / 2);
  remember(memory, 'onboot', entries);
  return new Map(entries.map(([vmid, isSet]) => [vmid, isSet === 1]));
}

interface Grounds {
  look: ProxmoxLook;
  onboot: ReadonlyMap<number, boolean>;
  before: ReadonlySet<number>;
}

function mustRun(guest: Guest, grounds: Grounds): boolean {
  const { options } = grounds.look;
  if (options.mayStop.includes(guest.vmid)) return false;
  return isRequired(guest, grounds) || grounds.before.has(guest.vmid);
}

/** Required whatever a person did: by the configuration here or there. */
function isRequired({ vmid, resource }: Guest, { look, onboot }: Grounds): boolean {
  const tags = resource.tags?.split(/[;,\s]+/) ?? [];
  const isTagged = look.options.mustRunTags.some((tag) => tags.includes(tag));
  return isTagged || look.options.mustRun.includes(vmid) || onboot.get(vmid) === true || resource.hastate === 'started';
}

interface Story {
  vmid: number;
  /** What its own status says, which does not lag. */
  status: string;
  /** The task that stopped it, when one did. */
  stopTask: Task | undefined;
}

async function storyOf(look: ProxmoxLook, guest: Guest): Promise<Story> {
  const { vmid, node, type } = guest;
  const answer = await look.api.get(GuestStatus, `/nodes/${node}/${type}/${vmid}/status/current`);
  const status = answer.is === 'value' ? answer.value.status : guest.status;
  const [last] = status === 'stopped' ? await guestTasks(look.api, guest, { isLifeOnly: true }) : [];
  return { vmid, status, stopTask: last !== undefined && isStopTask(last) ? last : undefined };
}

interface Verdict {
  vmid: number;
  observation: Observation;
  isRemembered: boolean;
}

function verdictOn(
  guest: Guest,
  of: Grounds & { tasks: readonly Task[] | undefined; story: Story | undefined },
): Verdict {
  const { vmid } = guest;
  const said = { condition: 'guest-down', resource: guest.title, labels: guest.labels, severity: 'critical' } as const;
  if (guest.status === 'running' || of.story?.status === 'running') {
    const observation = state({ ...said, summary: `${called(guest)} runs on ${guest.node}`, ok: true });
    return { vmid, observation, isRemembered: true };
  }
  const isRemembered = of.before.has(vmid);
  if (isBusy(guest, of.tasks)) {
    const summary = `${called(guest)} is stopped while it is locked (${guest.resource.lock ?? ''})`;
    return { vmid, observation: state({ ...said, summary, ok: true }), isRemembered };
  }
  if (mayRest(guest, of)) {
    const summary = `${called(guest)} is stopped, which it may${byWhom(of.story)}`;
    const observation = asleep({ ...said, summary }, 'stopped, and not to start with its node');
    return { vmid, observation, isRemembered: false };
  }
  const why = of.story === undefined ? '' : byWhom(of.story) || ', by no task: it ended by itself';
  const summary = `${called(guest)} is stopped on ${guest.node}${why}`;
  const severity = isRequired(guest, of) ? 'critical' : 'warning';
  return { vmid, observation: state({ ...said, summary, ok: false, severity }), isRemembered };
}

/** Nobody requires it, and it never ran or was stopped by hand. */
function mayRest(guest: Guest, of: Grounds & { story: Story | undefined }): boolean {
  if (!mustRun(guest, of)) return true;
  return !isRequired(guest, of) && of.story?.stopTask !== undefined;
}

function byWhom(story: Story | undefined): string {
  if (story?.stopTask === undefined) return '';
  const { user, type, endtime, starttime } = story.stopTask;
  const at = timeText((endtime ?? starttime) * 1_000)
    .slice(0, 16)
    .replace('T', ' ');
  return `, by ${oneLine(user, 60)} (${oneLine(type, 30)} at ${at})`;
}

function lockOf(guest: Guest, tasks: readonly Task[] | undefined): Observation[] {
  const { lock } = guest.resource;
  // A hibernated VM keeps its lock until it wakes.
  if (lock === undefined || lock === '' || lock === 'suspended') return [];
  const isHeld = isBusy(guest, tasks);
  return [
    state({
      condition: 'guest-locked',
      resource: guest.title,
      summary: `${called(guest)} is locked (${oneLine(lock, 40)})${isHeld ? ' by a running task' : ', and no task is running'}`,
      ok: isHeld,
      severity: 'warning',
      labels: { ...guest.labels, lock: oneLine(lock, 40) },
      holdMs: lockHoldMs,
    }),
  ];
}

/** Containers only: Proxmox sees neither the filesystems nor the free memory of a VM. */
function levelsOf(guest: Guest, { options }: ProxmoxLook): Observation[] {
  const { disk, maxdisk, mem, maxmem } = guest.resource;
  if (guest.type !== 'lxc' || guest.status !== 'running') return [];
  const said = { resource: guest.title, labels: guest.labels, unit: '%', bad: 'above' } as const;
  const diskUsed = percentUsed(disk, maxdisk);
  const memoryUsed = percentUsed(mem, maxmem);
  return [
    ...(diskUsed === undefined
      ? []
      : [
          level({
            ...said,
            condition: 'guest-disk-full',
            summary: `the disk of ${called(guest)} is ${Math.round(diskUsed)} % full of ${formatBytes(maxdisk ?? 0)}`,
            value: diskUsed,
            ...options.usage,
          }),
        ]),
    ...(memoryUsed === undefined
      ? []
      : [
          level({
            ...said,
            condition: 'guest-memory-low',
            summary: `${called(guest)} uses ${Math.round(memoryUsed)} % of ${formatBytes(maxmem ?? 0)} memory`,
            value: memoryUsed,
            warning: 95,
            holdMs: memoryHoldMs,
          }),
        ]),
  ];
}

function numbersIn(value: unknown): ReadonlySet<number> {
  return new Set(Array.isArray(value) ? value.filter((item) => typeof item === 'number') : []);
}

function onbootIn(value: unknown): [number, number, number][] {
  if (!Array.isArray(value)) return [];
  return value.filter(
    (entry): entry is [number, number, number] =>
      Array.isArray(entry) && entry.length === 3 && entry.every((part) => typeof part === 'number'),
  );
}
