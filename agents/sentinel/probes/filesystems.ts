import type { Observation, Threshold } from '#agents/sentinel/check.ts';
import { state } from './reading.ts';
import { formatBytes, resourceName } from './text.ts';

export interface Filesystem {
  source: string;
  type: string;
  mount: string;
  usedKb: number;
  availableKb: number;
}

/** Percent used where a warning and a critical begin, and free space above which percent does not matter. */
interface FilesystemLimits {
  warning: number;
  critical: number;
  warningFreeBytes: number;
  criticalFreeBytes: number;
}

// Not storage that can run full, or full by design.
const notStorage = new Set(
  'autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs erofs fuse.lxcfs fusectl hugetlbfs iso9660 mqueue nsfs proc pstore ramfs rpc_pipefs securityfs squashfs sysfs tmpfs tracefs udf'.split(
    ' ',
  ),
);
const gapPoints = 3;
const holdMs = 5 * 60_000;

/** Of `df -PkT`: source, type, blocks, used, available, percent, mount point. Mount points may hold blanks. */
const blockLine = /^(\S.*?)\s+(\S+)\s+(\d+)\s+(\d+)\s+(-?\d+)\s+(?:\d+%|-)\s+(\/.*)$/;
/** Of `df -Pi`: source, inodes, used, free, percent, mount point; busybox and btrfs print `-` or 0. */
const inodeLine = /^(\S.*?)\s+(\d+)\s+(\d+)\s+(\d+)\s+(?:\d+%|-)\s+(\/.*)$/;

export function parseFilesystems(text: string): Filesystem[] {
  const found = new Map<string, Filesystem>();
  for (const line of text.split('\n')) {
    const filesystem = filesystemIn(line);
    if (filesystem === undefined || !isStorage(filesystem)) continue;
    // A bind mount is the same storage again: the shortest mount point names it.
    const key = `${filesystem.source} ${filesystem.usedKb} ${filesystem.availableKb}`;
    const known = found.get(key);
    if (known === undefined || filesystem.mount.length < known.mount.length) found.set(key, filesystem);
  }
  return [...found.values()];
}

function filesystemIn(line: string): Filesystem | undefined {
  const match = blockLine.exec(line);
  if (match === null) return undefined;
  const [, source = '', type = '', , used, available, mount = ''] = match;
  // Space that is kept for root is neither used nor available: the rest of the disk is what `df` calls 100 %.
  return { source, type, mount, usedKb: Number(used), availableKb: Math.max(0, Number(available)) };
}

function isStorage({ type, mount, usedKb, availableKb }: Filesystem): boolean {
  if (usedKb + availableKb === 0 || mount.length > 300 || notStorage.has(type)) return false;
  // Layers of containers repeat the disk below them; as root of a container an overlay is its disk.
  if (type === 'overlay' || type === 'aufs') return mount === '/';
  return !mount.startsWith('/snap/');
}

export function parseInodes(text: string): Map<string, { used: number; free: number }> {
  const inodes = new Map<string, { used: number; free: number }>();
  for (const line of text.split('\n')) {
    const match = inodeLine.exec(line);
    if (match === null || Number(match[2]) === 0) continue;
    inodes.set(match[5] ?? '', { used: Number(match[3]), free: Number(match[4]) });
  }
  return inodes;
}

/** Mount point to whether it is read-only, from /proc/mounts, where blanks are written as `\040`. */
export function parseMounts(text: string): Map<string, boolean> {
  const mounts = new Map<string, boolean>();
  for (const line of text.split('\n')) {
    const [, mount, , options] = line.split(' ');
    if (mount === undefined || options === undefined) continue;
    const path = mount.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(parseInt(octal, 8)));
    mounts.set(path, /(?:^|,)(?:ro|emergency_ro)(?:,|$)/.test(options));
  }
  return mounts;
}

export function observeSpace(filesystem: Filesystem, limits: FilesystemLimits): Observation {
  const totalBytes = (filesystem.usedKb + filesystem.availableKb) * 1_024;
  const percent = (100 * filesystem.usedKb * 1_024) / totalBytes;
  const free = formatBytes(filesystem.availableKb * 1_024);
  const mount = resourceName(filesystem.mount);
  return {
    condition: 'filesystem-full',
    resource: mount,
    labels: { path: mount },
    holdMs,
    summary: `${mount} is ${percent.toFixed(0)} % full, ${free} of ${formatBytes(totalBytes)} left`,
    reading: {
      is: 'level',
      value: percent,
      unit: '%',
      bad: 'above',
      warning: spaceThreshold(limits.warning, limits.warningFreeBytes / totalBytes),
      critical: spaceThreshold(limits.critical, limits.criticalFreeBytes / totalBytes),
    },
  };
}

/** On a large disk a few percent are a lot: the level begins where the wanted free space is gone as well. */
function spaceThreshold(percent: number, freeShare: number): Threshold {
  const trigger = Math.max(percent, 100 * (1 - freeShare));
  // Three points are impossible to regain on a disk whose trigger is 99.8 %.
  return { trigger, clear: trigger - Math.min(gapPoints, Math.max(0.01, (100 - trigger) * 0.75)) };
}

export function observeInodes(
  filesystem: Filesystem,
  inodes: { used: number; free: number },
  limits: { warning: number; critical: number },
): Observation {
  const percent = (100 * inodes.free) / (inodes.used + inodes.free);
  const mount = resourceName(filesystem.mount);
  return {
    condition: 'filesystem-inodes-low',
    resource: mount,
    labels: { path: mount },
    holdMs,
    summary: `${mount} has ${percent.toFixed(0)} % of its inodes left (${inodes.free})`,
    reading: {
      is: 'level',
      value: percent,
      unit: '%',
      bad: 'below',
      warning: { trigger: limits.warning, clear: limits.warning + gapPoints },
      critical: { trigger: limits.critical, clear: limits.critical + 2 },
    },
  };
}

/** A file system that was writable and is not: the kernel's answer to an error of the disk. */
export function observeWritable(filesystem: Filesystem, isReadOnly: boolean): Observation {
  const mount = resourceName(filesystem.mount);
  return state({
    condition: 'filesystem-read-only',
    resource: mount,
    labels: { path: mount },
    summary: isReadOnly ? `${mount} became read-only` : `${mount} is writable`,
    ok: !isReadOnly,
    severity: 'critical',
  });
}
