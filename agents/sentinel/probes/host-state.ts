import { formatDuration } from '#config/duration.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { observeCpu, parseCpuTicks } from './cpu.ts';
import type { HostLook } from './host-look.ts';
import { state, unseen } from './reading.ts';
import { oneLine } from './text.ts';

/** A backup that waits for its disk raises the load for the better part of an hour; what is critical counts sooner. */
const loadHoldMs = { warning: 60 * 60_000, critical: 15 * 60_000 };
/** After a boot a machine may need some minutes for its first answer of a time server. */
const clockHoldMs = 15 * 60_000;

function isContainer(look: Pick<HostLook, 'sections'>): boolean {
  const kind = look.sections.get('container')?.text.trim();
  return kind !== undefined && kind !== '' && kind !== 'none';
}

/** Load per CPU. In a container the kernel shows the load of the whole node: not applicable there. */
export function loadObservations(look: HostLook): Observation[] {
  if (isContainer(look)) return [];
  const load = Number(look.sections.get('loadavg')?.text.trim().split(/\s+/)[2]);
  const cpus = Number(look.sections.get('cpus')?.text.trim());
  if (!Number.isFinite(load) || !(cpus > 0)) {
    return [unseen({ condition: 'load-high', resource: 'load' }, '/proc/loadavg is not readable')];
  }
  const { warning, critical } = look.options.load;
  return [
    {
      condition: 'load-high',
      resource: 'load',
      holdMs: load / cpus >= critical ? loadHoldMs.critical : loadHoldMs.warning,
      summary: `15 minute load is ${load.toFixed(2)} on ${cpus} CPUs`,
      reading: {
        is: 'level',
        value: load / cpus,
        unit: 'per CPU',
        bad: 'above',
        warning: { trigger: warning, clear: warning * 0.75 },
        critical: { trigger: critical, clear: critical * 0.75 },
      },
    },
  ];
}

/** How busy the CPUs are. A container without lxcfs sees those of its node: not applicable there. */
export function cpuObservations(look: HostLook): Observation[] {
  const isOwn = /^\S+ \/proc\/stat fuse\.lxcfs /m.test(look.sections.get('mounts')?.text ?? '');
  if (isContainer(look) && !isOwn) return [];
  const ticks = parseCpuTicks(look.sections.get('stat')?.text ?? '');
  if (ticks !== undefined) return observeCpu(ticks, look.options.cpu, { memory: look.memory, now: look.answeredAt });
  return [unseen({ condition: 'cpu-high', resource: 'cpu' }, '/proc/stat is not readable')];
}

/** The clock against ours, for hosts that have one of their own, and whether a time server keeps it. */
export function clockObservations(look: HostLook): Observation[] {
  const observations = look.isLocal ? [] : skewObservation(look);
  const clock = look.sections.get('clock');
  // The kernel's clock is the node's; a container cannot keep it.
  if (isContainer(look) || clock === undefined || clock.code !== 0) return observations;
  return [...observations, ...synchronisation(clock.text)];
}

function skewObservation(look: HostLook): Observation[] {
  const seconds = Number(look.sections.get('time')?.text.trim());
  if (!Number.isFinite(seconds) || seconds === 0) return [];
  // The host read its clock somewhere between question and answer, and cut it to whole seconds.
  const earliest = look.askedAt - 1_000;
  const skewMs = Math.max(0, seconds * 1_000 - look.answeredAt, earliest - seconds * 1_000);
  const limit = look.options.clockSkew / 1_000;
  const direction = seconds * 1_000 > look.answeredAt ? 'ahead of' : 'behind';
  return [
    {
      condition: 'clock-offset',
      resource: 'clock',
      summary:
        skewMs === 0
          ? 'the clock agrees with ours'
          : `the clock is ${formatDuration(Math.round(skewMs / 1_000) * 1_000)} ${direction} ours`,
      reading: {
        is: 'level',
        value: skewMs / 1_000,
        unit: 's',
        bad: 'above',
        warning: { trigger: limit, clear: limit / 2 },
      },
    },
  ];
}

function synchronisation(text: string): Observation[] {
  const clock = readSynchronisation(text);
  if (clock === undefined) return [];
  return [
    state({
      condition: 'clock-unsynchronised',
      resource: 'clock',
      holdMs: clockHoldMs,
      summary: clock.isSynchronised
        ? 'the clock is synchronised'
        : clock.isWanted
          ? 'the clock is not synchronised although a time service runs'
          : 'the clock is not synchronised and no time service is enabled',
      ok: clock.isSynchronised,
      severity: clock.isWanted ? 'warning' : 'info',
    }),
  ];
}

/** `timedatectl show` (`NTPSynchronized=yes`) or `chronyc -c tracking`, whose last field is the leap status. */
export function readSynchronisation(text: string): { isSynchronised: boolean; isWanted: boolean } | undefined {
  const synchronised = /^NTPSynchronized=(yes|no)$/m.exec(text)?.[1];
  if (synchronised !== undefined) {
    return { isSynchronised: synchronised === 'yes', isWanted: /^NTP=yes$/m.test(text) };
  }
  const fields = text.trim().split(',');
  if (fields.length < 14) return undefined;
  return { isSynchronised: fields.at(-1)?.trim() !== 'Not synchronised', isWanted: true };
}

/** Debian's mark file, or on NixOS a booted kernel that is not the current one. */
export function rebootObservations(look: HostLook): Observation[] {
  const [answer, ...packages] = (look.sections.get('reboot')?.text ?? '').split('\n').filter((line) => line !== '');
  // The kernel of a container is its node's.
  if (answer === undefined || (isContainer(look) && packages.length === 0)) return [];
  const isRequired = answer === 'required';
  const why = packages.length > 0 ? ` (${oneLine([...new Set(packages)].slice(0, 8).join(', '), 200)})` : '';
  return [
    state({
      condition: 'reboot-required',
      resource: 'system',
      holdMs: 0,
      summary: isRequired ? `a reboot is needed to finish updates${why}` : 'no reboot is needed',
      ok: !isRequired,
      severity: 'info',
    }),
  ];
}
