import type { CheckMemory, Observation } from '#agents/sentinel/check.ts';
import {
  observeInodes,
  observeSpace,
  observeWritable,
  parseFilesystems,
  parseInodes,
  parseMounts,
  type Filesystem,
} from './filesystems.ts';
import { matchesAny } from './glob.ts';
import { clockObservations, cpuObservations, loadObservations, rebootObservations } from './host-state.ts';
import type { HostOptions, HostPart } from './host-options.ts';
import { type MemoryUse, observeMemory, observeSwap, parseMemory, parseSwapIns } from './memory.ts';
import { isPortMemory, type ListeningPort, parsePorts, portSettlesMs, rememberPorts } from './ports.ts';
import { state, unseen } from './reading.ts';
import { remember, rememberedTexts } from './remembered.ts';
import type { Section } from './sections.ts';
import { oneLine } from './text.ts';
import { isPendingUpdates, observeUpdates, parseUpdates, rememberUpdates } from './updates.ts';

/** One answer of the host script and when it was asked. */
export interface HostLook {
  sections: ReadonlyMap<string, Section>;
  /** Epoch ms by our clock. */
  askedAt: number;
  answeredAt: number;
  isLocal: boolean;
  options: HostOptions;
  memory: CheckMemory;
}

/** What each part makes of a look. A part that is not applicable on this host gives nothing. */
export const hostPartObservers: Record<HostPart, (look: HostLook) => Observation[]> = {
  filesystems: filesystemObservations,
  inodes: inodeObservations,
  memory: memoryObservations,
  swap: swapObservations,
  load: loadObservations,
  cpu: cpuObservations,
  clock: clockObservations,
  reboot: rebootObservations,
  updates: updateObservations,
  ports: portObservations,
};

function unreadable(condition: string, resource: string, reason: string): Observation[] {
  return [unseen({ condition, resource }, reason)];
}

function filesystemsOf(look: HostLook): Filesystem[] {
  return parseFilesystems(look.sections.get('blocks')?.text ?? '').filter(
    (filesystem) => !matchesAny(filesystem.mount, look.options.filesystems.ignore),
  );
}

function filesystemObservations(look: HostLook): Observation[] {
  const blocks = look.sections.get('blocks');
  // `df` ends with 1 when one mount of many could not be read, and still prints the others.
  if (blocks === undefined || (blocks.code !== 0 && !blocks.text.includes('/'))) {
    return ['filesystem-full', 'filesystem-read-only', 'filesystem-inodes-low'].flatMap((condition) =>
      unreadable(condition, 'filesystems', '"df" did not answer'),
    );
  }
  const limits = look.options.filesystems;
  const giB = 1_024 ** 3;
  const bytesOf = (gibibytes = Number.POSITIVE_INFINITY): number => gibibytes * giB;
  const bytes = { warningFreeBytes: bytesOf(limits.warningFree), criticalFreeBytes: bytesOf(limits.criticalFree) };
  const readOnly = parseMounts(look.sections.get('mounts')?.text ?? '');
  const written = new Set(rememberedTexts(look.memory, 'writable'));
  const observations: Observation[] = [];
  for (const filesystem of filesystemsOf(look)) {
    const isReadOnly = readOnly.get(filesystem.mount) ?? false;
    // An image that never was writable is full for good.
    if (isReadOnly && !written.has(filesystem.mount)) continue;
    written.add(filesystem.mount);
    observations.push(
      { ...observeSpace(filesystem, { ...limits, ...bytes }), holdMs: limits.lasts },
      observeWritable(filesystem, isReadOnly),
    );
  }
  remember(look.memory, 'writable', [...written].slice(-100));
  return observations;
}

function inodeObservations(look: HostLook): Observation[] {
  const inodes = parseInodes(look.sections.get('inodes')?.text ?? '');
  const readOnly = parseMounts(look.sections.get('mounts')?.text ?? '');
  return filesystemsOf(look).flatMap((filesystem) => {
    const of = inodes.get(filesystem.mount);
    if (of === undefined || readOnly.get(filesystem.mount) === true) return [];
    return [observeInodes(filesystem, of, look.options.inodes)];
  });
}

function memoryOf(look: HostLook): MemoryUse | undefined {
  return parseMemory(look.sections.get('meminfo')?.text ?? '', look.sections.get('arc')?.text);
}

function memoryObservations(look: HostLook): Observation[] {
  const use = memoryOf(look);
  if (use === undefined) return unreadable('memory-low', 'memory', '/proc/meminfo is not readable');
  return [{ ...observeMemory(use, look.options.memory), holdMs: look.options.memory.lasts }];
}

function swapObservations(look: HostLook): Observation[] {
  const use = memoryOf(look);
  if (use === undefined || use.swapTotalBytes === 0) return [];
  const swapIns = parseSwapIns(look.sections.get('vmstat')?.text ?? '');
  const before = look.memory.get('swap');
  if (swapIns !== undefined) look.memory.set('swap', { at: look.answeredAt, swapIns });
  return [observeSwap(use, rateSince(before, swapIns, look.answeredAt), look.options.swap)];
}

function rateSince(before: unknown, swapIns: number | undefined, now: number): number | undefined {
  if (swapIns === undefined || before === null || typeof before !== 'object') return undefined;
  if (!('at' in before) || !('swapIns' in before)) return undefined;
  const seconds = (now - Number(before.at)) / 1_000;
  const pages = swapIns - Number(before.swapIns);
  // A reboot sets the counter back.
  return seconds > 0 && pages >= 0 ? pages / seconds : undefined;
}

function updateObservations(look: HostLook): Observation[] {
  const section = look.sections.get('updates');
  const known = look.memory.get('updates');
  let pending = isPendingUpdates(known) ? known : undefined;
  if (section !== undefined && section.code !== 0) {
    look.memory.set('updates-failed', look.answeredAt);
    return unreadable('security-updates', 'packages', updateFailure(section.code));
  }
  if (section !== undefined) {
    pending = rememberUpdates(pending, parseUpdates(section.text), look.answeredAt);
    look.memory.set('updates', pending);
    remember(look.memory, 'updates-failed', 0);
  }
  if (pending === undefined) return [];
  const { warning, critical } = look.options.updates;
  return [observeUpdates(pending, look.answeredAt, { warningMs: warning, criticalMs: critical })];
}

function updateFailure(code: number): string {
  return code === 124 ? '"apt-get -s upgrade" took longer than 8s' : `"apt-get -s upgrade" ended with status ${code}`;
}

const updateRetryMs = 10 * 60_000;

/** Whether it is time to ask the package manager again. */
export function wantsUpdates(memory: CheckMemory, options: HostOptions, now: number): boolean {
  if (options.off.includes('updates')) return false;
  const failedAt = Number(memory.get('updates-failed') ?? 0);
  if (failedAt > 0) return now - failedAt >= updateRetryMs;
  const pending = memory.get('updates');
  return !isPendingUpdates(pending) || now - pending.at >= options.updates.askEvery || now < pending.at;
}

function portObservations(look: HostLook): Observation[] {
  const section = look.sections.get('ports');
  if (section === undefined || (section.code !== 0 && section.text.trim() === '')) return [];
  const ports = parsePorts(section.text);
  const before = look.memory.get('ports');
  const now = rememberPorts(isPortMemory(before) ? before : undefined, ports, look.answeredAt);
  remember(look.memory, 'ports', now);
  return ports.flatMap((port) => newPort(port, now.fresh[port.name]));
}

function newPort(port: ListeningPort, fresh: { since: number; process: string } | undefined): Observation[] {
  if (fresh === undefined) return [];
  const process = oneLine(fresh.process, 80);
  return [
    state({
      condition: 'port-new',
      resource: port.name,
      labels: { port: port.name, process },
      summary: `${port.name} is newly open to the network (process: ${process}); it counts as usual after ${portSettlesMs / 3_600_000}h`,
      ok: false,
      severity: 'info',
    }),
  ];
}
