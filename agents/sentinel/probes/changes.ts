import { formatDuration } from '#config/duration.ts';
import { messageIds } from './change-script.ts';
import { linesOf } from './host-answer.ts';
import type { Section } from './sections.ts';
import { jsonOf, oneLine } from './text.ts';
import { zoneOffsetMs } from './zone.ts';

/** One thing that was different from a moment on. */
export interface HostChange {
  /** Epoch ms. */
  at: number;
  text: string;
  /** Things of the same sort, minute and `group` are told in one line. */
  group: string;
  /** The name within the group; undefined where each is a line of its own. */
  name?: string;
}

type Sections = ReadonlyMap<string, Section>;

const bootMs = 60_000;

/** Units that start and stop all day long and tell nothing; those that are asked over D-Bus start when we ask. */
const dull =
  /^(?:session-.*\.scope|user@.*|user-runtime-dir@.*|run-.*|init\.scope|user-\d+\.slice|phpsessionclean.*|systemd-tmpfiles-clean.*|anacron.*|apt-daily.*|man-db.*|fstrim.*|logrotate.*|e2scrub.*|motd-news.*|dpkg-db-backup.*|sysstat-.*|systemd-(?:hostnamed|localed|timedated)\.service)$/;
/** Files that programs write again and again: LVM with every snapshot, and with it every backup of a guest. */
const dullFile =
  /^\/etc\/(?:mtab|(?:passwd|shadow|group|gshadow|subuid|subgid)-|lvm\/(?:archive|backup|cache)\/.*|adjtime|resolv\.conf|ld\.so\.cache|machine-id|cups\/subscriptions\.conf.*|\.pwd\.lock|.*\.lock|.*~|.*\.(?:swp|tmp))$|^\/etc\/pve\/(?:\.|nodes\/[^/]+\/lrm_status|.*status)/;

/** Reads what the script of changes printed. `ignoredUsers`: our own logins, which come every minute. */
export function parseChanges(sections: Sections, ignoredUsers: readonly string[]): HostChange[] {
  const [seconds, zone = '+0000'] = linesOf(sections, 'time')[0]?.split(' ') ?? [];
  const now = Number(seconds) * 1_000;
  if (!Number.isFinite(now)) return [];
  const offsetMs = zoneOffsetMs(zone);
  const booted = boot(sections, now);
  const bootedAt = booted[0]?.at ?? 0;
  // A boot starts everything: it is one line, not a hundred.
  const isOfBoot = ({ at, group }: HostChange): boolean =>
    group === 'units started' && at >= bootedAt - 1_000 && at < bootedAt + bootMs;
  return [
    ...booted,
    ...dpkg(sections, offsetMs),
    ...apt(sections, offsetMs),
    ...pacman(sections),
    ...rpm(sections),
    ...nix(sections),
    ...units(sections, ignoredUsers).filter((change) => !isOfBoot(change)),
    ...containers(sections),
    ...files(sections),
    ...logins(sections, ignoredUsers),
  ].filter(({ at }) => Number.isFinite(at) && at > 0);
}

function boot(sections: Sections, now: number): HostChange[] {
  const up = Number.parseFloat(linesOf(sections, 'uptime')[0] ?? '');
  return Number.isFinite(up) ? [{ at: now - Math.round(up * 1_000), text: 'the system booted', group: 'boot' }] : [];
}

/** `2026-11-20 10:12:13 upgrade libssl3:amd64 3.0.11 3.0.13`, in the zone of the host. */
function dpkg(sections: Sections, offsetMs: number): HostChange[] {
  return linesOf(sections, 'dpkg').flatMap((line) => {
    const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) (install|upgrade|remove|purge) (\S+) (\S+) (\S+)/.exec(line);
    if (match === null) return [];
    const [, date, time, verb = '', name = '', before = '', after = ''] = match;
    return [
      packageChange(localTime(`${date}T${time}`, offsetMs), { verb, name: name.replace(/:\w+$/, ''), before, after }),
    ];
  });
}

function packageChange(at: number, of: { verb: string; name: string; before: string; after: string }): HostChange {
  const verbs: Record<string, string> = {
    install: 'installed',
    upgrade: 'upgraded',
    remove: 'removed',
    purge: 'purged',
  };
  const versions = [of.before, of.after].filter((version) => version !== '<none>' && version !== '').join(' to ');
  const group = `packages ${verbs[of.verb] ?? of.verb}`;
  return {
    at,
    group,
    name: of.name,
    text: `package ${of.name} ${verbs[of.verb] ?? of.verb}${versions === '' ? '' : ` (${versions})`}`,
  };
}

/** Blocks of `Start-Date: 2026-11-20  10:12:13`, `Commandline: ...`, `Requested-By: ...`. */
function apt(sections: Sections, offsetMs: number): HostChange[] {
  const changes: HostChange[] = [];
  let at = 0;
  for (const line of linesOf(sections, 'apt')) {
    const [, key, value = ''] = /^([A-Za-z-]+): (.*)$/.exec(line) ?? [];
    if (key === 'Start-Date') at = localTime(value.trim().replace(/ +/, 'T'), offsetMs);
    else if (key === 'Commandline') changes.push({ at, group: 'apt', text: `apt ran: ${oneLine(value, 160)}` });
  }
  return changes;
}

/** `[2026-11-20T10:12:13+0100] [ALPM] upgraded linux (6.17-1 -> 6.18-1)`. */
function pacman(sections: Sections): HostChange[] {
  return linesOf(sections, 'pacman').flatMap((line) => {
    const match = /^\[([^\]]+)\] \[ALPM\] (\w+) (\S+) \(([^)]*)\)/.exec(line);
    if (match === null) return [];
    const [, time = '', verb = '', name = '', versions = ''] = match;
    return [{ at: Date.parse(time), group: `packages ${verb}`, name, text: `package ${name} ${verb} (${versions})` }];
  });
}

function rpm(sections: Sections): HostChange[] {
  return linesOf(sections, 'rpm').flatMap((line) => {
    const [seconds, name = '', version = ''] = line.split(' ');
    const text = `package ${name} installed (${version})`;
    return [{ at: Number(seconds) * 1_000, group: 'packages installed', name, text }];
  });
}

function nix(sections: Sections): HostChange[] {
  return linesOf(sections, 'nix').flatMap((line) => {
    const match = /^(\d+) .*\/system-(\d+)-link$/.exec(line);
    if (match === null) return [];
    return [{ at: Number(match[1]) * 1_000, group: 'generation', text: `NixOS generation ${match[2]} was built` }];
  });
}

interface SystemdEntry {
  at: number;
  id: string;
  unit: string;
  user: string;
  message: string;
}

function units(sections: Sections, ignoredUsers: readonly string[]): HostChange[] {
  return (sections.get('units')?.text ?? '').split('\n').flatMap((line) => {
    const entry = line.startsWith('{') ? (jsonOf(line) as Record<string, unknown> | undefined) : undefined;
    if (entry === undefined) return [];
    const text = (key: string): string => (typeof entry[key] === 'string' ? oneLine(entry[key], 200) : '');
    const at = Math.floor(Number(entry['__REALTIME_TIMESTAMP']) / 1_000);
    const change = unitChange(
      { at, id: text('MESSAGE_ID'), unit: text('UNIT'), user: text('USER_ID'), message: text('MESSAGE') },
      ignoredUsers,
    );
    return change === undefined ? [] : [change];
  });
}

const unitWords: Record<string, string> = {
  [messageIds.started]: 'started',
  [messageIds.stopped]: 'stopped',
  [messageIds.failed]: 'failed',
  [messageIds.startFailed]: 'failed to start',
  [messageIds.reloaded]: 'was reloaded',
  [messageIds.restarting]: 'is restarted by systemd',
};

function unitChange(
  { at, id, unit, user, message }: SystemdEntry,
  ignoredUsers: readonly string[],
): HostChange | undefined {
  if (id === messageIds.coredump) return { at, group: 'coredump', text: oneLine(message, 160) };
  if (id === messageIds.shutdown) return { at, group: 'shutdown', text: `shutdown: ${oneLine(message, 120)}` };
  if (id === messageIds.session) {
    return user === '' || ignoredUsers.includes(user) ? undefined : { at, group: 'login', text: `${user} logged in` };
  }
  const word = unitWords[id];
  if (word === undefined || unit === '' || dull.test(unit)) return undefined;
  return { at, group: `units ${word}`, name: unit, text: `${unit} ${word}` };
}

/** `<seconds> start web `, `<seconds> die web 137`. */
function containers(sections: Sections): HostChange[] {
  const words: Record<string, string> = {
    create: 'was created',
    start: 'started',
    die: 'ended',
    oom: 'ran out of memory',
  };
  return linesOf(sections, 'containers').flatMap((line) => {
    const [seconds, action = '', name = '', code = ''] = line.split(' ');
    const word = words[action];
    if (word === undefined || name === '') return [];
    const status = action === 'die' && /^\d+$/.test(code) ? ` with status ${code}` : '';
    const text = `container ${oneLine(name, 100)} ${word}${status}`;
    return [{ at: Number(seconds) * 1_000, group: `containers ${word}`, name: oneLine(name, 100), text }];
  });
}

function files(sections: Sections): HostChange[] {
  return linesOf(sections, 'etc').flatMap((line) => {
    const match = /^(\d+)(?:\.\d+)? (\/.*)$/.exec(line);
    if (match === null || dullFile.test(match[2] ?? '')) return [];
    const name = oneLine(match[2] ?? '', 160);
    return [{ at: Number(match[1]) * 1_000, group: 'files below /etc changed', name, text: `${name} was changed` }];
  });
}

/** `last -w --time-format iso`: user, terminal, from, begin. Where the journal tells sessions it tells them twice. */
function logins(sections: Sections, ignoredUsers: readonly string[]): HostChange[] {
  if (/"MESSAGE_ID"\s*:\s*"8d45620c1a4348dbb17410da57c60c66"/.test(sections.get('units')?.text ?? '')) return [];
  return linesOf(sections, 'logins').flatMap((line) => {
    const match = /^(\S+)\s+(\S+)\s+(\S+)?\s+(\d{4}-\d\d-\d\dT[\d:]+[+-]\d\d:\d\d)/.exec(line);
    const [, user = '', terminal = '', from = '', time = ''] = match ?? [];
    if (match === null || user === 'reboot' || terminal === 'system' || ignoredUsers.includes(user)) return [];
    const where = from === '' ? '' : ` from ${oneLine(from, 60)}`;
    return [{ at: Date.parse(time), group: 'login', text: `${oneLine(user, 40)} logged in${where}` }];
  });
}

function localTime(text: string, offsetMs: number): number {
  return Date.parse(`${text}Z`) - offsetMs;
}

const dayMs = 86_400_000;
const unitsMs = 30 * 60_000;
/** A cause may be stamped just after the look that saw its effect: clocks differ, journals lag. */
const slackMs = 60_000;
const namesShown = 6;
const linesShown = 12;

/**
 * What changed before an onset (epoch ms), newest first, one line a group and minute, each beginning with its instant.
 * Units count for 30 minutes, the rest a day.
 */
export function changeLines(changes: readonly HostChange[], onset: number): { lines: string[]; truncated: number } {
  const groups = new Map<string, HostChange[]>();
  for (const change of changes) {
    const reachMs = change.group.startsWith('units ') ? unitsMs : dayMs;
    if (change.at > onset + slackMs || change.at < onset - reachMs) continue;
    const key =
      change.name === undefined
        ? `${change.group} ${change.at} ${change.text}`
        : `${change.group} ${Math.floor(change.at / 60_000)}`;
    groups.set(key, [...(groups.get(key) ?? []), change]);
  }
  const newest = (group: readonly HostChange[]): number => Math.max(...group.map(({ at }) => at));
  const sorted = [...groups.values()].toSorted((a, b) => newest(b) - newest(a));
  const lines = sorted.slice(0, linesShown).map((group) => {
    const at = newest(group);
    return `${new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')} (${before(onset - at)}) ${groupText(group)}`;
  });
  return { lines, truncated: sorted.length - lines.length };
}

function before(ms: number): string {
  return ms <= 0 ? 'at the onset' : `${formatDuration(Math.max(1, Math.round(ms / 1_000)) * 1_000)} before`;
}

function groupText(group: readonly HostChange[]): string {
  const [first] = group;
  const names = [...new Set(group.map(({ name }) => name ?? ''))];
  if (first === undefined) return '';
  if (names.length <= 1) return group.length > 1 ? `${first.text} (${group.length} times)` : first.text;
  const more = names.length > namesShown ? ` and ${names.length - namesShown} more` : '';
  return `${names.length} ${first.group}: ${names.slice(0, namesShown).join(', ')}${more}`;
}
