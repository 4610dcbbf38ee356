import type { Observation } from '#agents/sentinel/check.ts';
import { matchesAny } from './glob.ts';
import { parseBlocks, partFailure, linesOf } from './host-answer.ts';
import { level, state, unseen } from './reading.ts';
import { readRelease } from './release-end.ts';
import type { Section } from './sections.ts';
import { counted, oneLine } from './text.ts';

export type Sections = ReadonlyMap<string, Section>;

const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;
/** A release whose end is nearer than that is told as information. */
const noticeMs = 60 * dayMs;

/** Names of a sentence: the first few and how many more. */
export function named(names: readonly string[], shown = 5): string {
  const listed = names.slice(0, shown).join(', ');
  return names.length > shown ? `${listed} and ${names.length - shown} more` : listed;
}

/** What dpkg's database says of each package: the three letters of `Status-Abbrev`, wanted, actual, error. */
export function parseStates(text: string): Map<string, string> {
  const states = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, abbreviation, name] = /^([a-zA-Z]{2}[ a-zA-Z]?) *\|([a-z0-9][a-z0-9+.-]*)$/.exec(line) ?? [];
    // The same name of another architecture: the better one counts, as a removed foreign one is no loss.
    if (name !== undefined && abbreviation !== undefined && !states.get(name)?.startsWith('ii')) {
      states.set(name, abbreviation.trimEnd());
    }
  }
  return states;
}

/** Packages that are neither installed nor gone: unpacked, half-configured, awaiting triggers. */
export function observeDatabase(sections: Sections): Observation {
  const said = { condition: 'packages-broken', resource: 'dpkg', holdMs: 0 };
  const audit = sections.get('audit');
  const states = sections.get('states');
  if (audit === undefined || states === undefined || states.code !== 0) {
    return unseen({ ...said, resource: 'dpkg' }, partFailure(states, '"dpkg-query -W"'));
  }
  const all = parseStates(states.text);
  // The second letter: U unpacked, F half-configured, H half-installed, W and t triggers; the third says reinstallation.
  const broken = [...all].filter(([, abbreviation]) => /^.[UFHWt]|R$/.test(abbreviation)).map(([name]) => name);
  const pending = sections.get('pending')?.text ?? '';
  const unmet = /unmet dependencies|--fix-broken/i.test(pending);
  const isBroken = broken.length > 0 || unmet || (audit.code === 0 && audit.text.trim() !== '');
  return state({
    ...said,
    summary: !isBroken
      ? `dpkg knows ${counted(all.size, 'package')} and finds no fault`
      : broken.length > 0
        ? `${counted(broken.length, 'package')} not fully installed: ${named(broken)}`
        : unmet
          ? 'packages have unmet dependencies: nothing can be installed until "apt --fix-broken install"'
          : `dpkg --audit finds fault: ${oneLine(audit.text, 200)}`,
    ok: !isBroken,
    severity: 'critical',
  });
}

/** Watched packages that were removed: their programs may run on until the next restart. */
export function observeRemoved(sections: Sections, watch: readonly string[], seen: ReadonlySet<string>): Observation[] {
  const states = parseStates(sections.get('states')?.text ?? '');
  const names = new Set([...states.keys(), ...seen].filter((name) => matchesAny(name, watch)));
  return [...names]
    .toSorted()
    .slice(0, 100)
    .map((name) => {
      const abbreviation = states.get(name) ?? 'un';
      const isInstalled = /^.[iUFHWt]/.test(abbreviation);
      return state({
        condition: 'package-removed',
        resource: name,
        labels: { package: name },
        holdMs: 0,
        summary: isInstalled
          ? `${name} is installed`
          : `${name} was removed${abbreviation.startsWith('rc') ? ', its configuration is still there' : ''}; what still runs of it ends with its next restart`,
        ok: isInstalled,
        severity: 'critical',
      });
    });
}

/** How old the package lists are, and repositories whose own date says that they were not renewed. */
export function observeLists(sections: Sections, of: { now: number; limitMs: number }): Observation[] {
  const said = { condition: 'package-lists-old', resource: 'package lists', holdMs: 0 };
  const times = linesOf(sections, 'stamps').map((line) => Number(line.split(' ')[0]) * 1_000);
  const newest = Math.max(0, ...times.filter((time) => Number.isFinite(time)));
  if (newest === 0) return [unseen(said, '/var/lib/apt/lists is not readable')];
  const days = Math.max(0, (of.now - newest) / dayMs);
  const age = level({
    ...said,
    value: days,
    unit: 'd',
    bad: 'above',
    warning: of.limitMs / dayMs,
    summary: `the package lists were renewed ${days < 1 ? 'within a day' : `${counted(Math.floor(days), 'day')} ago`}: what is not known is not counted as pending`,
  });
  return [age, ...expiredLists(sections, of.now)];
}

function expiredLists(sections: Sections, now: number): Observation[] {
  return linesOf(sections, 'valid').flatMap((line) => {
    const [, file, date] = /^(\/[^:]+?):Valid-Until: (.{10,60})$/.exec(line) ?? [];
    const until = Date.parse(date ?? '');
    if (file === undefined || !Number.isFinite(until) || now <= until) return [];
    const repository = file.replace(/^.*\//, '').replace(/_?(?:InRelease|Release)$/, '');
    const days = counted(Math.floor((now - until) / dayMs), 'day');
    return [
      state({
        condition: 'package-lists-old',
        resource: repository,
        labels: { repository },
        holdMs: 0,
        summary: `the list of ${repository} ended ${days} ago and was not renewed`,
        ok: false,
        severity: 'warning',
      }),
    ];
  });
}

export function observeReboot(sections: Sections, of: { now: number; warningMs: number }): Observation[] {
  const [answer, ...packages] = linesOf(sections, 'reboot');
  const kernel = needrestartValue(sections, 'KSTA');
  if (answer === undefined) return [];
  const since = Number(/^required (\d+)$/.exec(answer)?.[1]) * 1_000;
  // 2: another build of the running version, 3: another version.
  const isKernelOld = kernel === '2' || kernel === '3';
  const isRequired = Number.isFinite(since) || isKernelOld;
  const ageMs = Number.isFinite(since) ? of.now - since : 0;
  const why = packages.length > 0 ? packages : isKernelOld ? ['kernel'] : [];
  const age = ageMs >= dayMs ? ` since ${counted(Math.floor(ageMs / dayMs), 'day')}` : '';
  return [
    state({
      condition: 'reboot-required',
      resource: 'system',
      holdMs: 0,
      summary: isRequired
        ? `a reboot is needed${age} to finish updates${why.length > 0 ? ` (${named(why, 8)})` : ''}`
        : 'no reboot is needed',
      ok: !isRequired,
      severity: ageMs >= of.warningMs ? 'warning' : 'info',
    }),
  ];
}

function needrestartValue(sections: Sections, key: string): string | undefined {
  return new RegExp(`^NEEDRESTART-${key}: *(\\S+)$`, 'm').exec(sections.get('services')?.text ?? '')?.[1];
}

/** Services that still use files which an update replaced. Only root sees those of others. */
export function observeRestarts(sections: Sections): Observation[] {
  const section = sections.get('services');
  if (section === undefined || section.code !== 0 || !section.text.includes('NEEDRESTART-VER')) return [];
  const services = [...section.text.matchAll(/^NEEDRESTART-SVC: *(\S+)$/gm)].map((match) => match[1] ?? '');
  return [
    state({
      condition: 'services-outdated',
      resource: 'services',
      holdMs: 0,
      summary:
        services.length === 0
          ? 'no service waits for its restart'
          : `${counted(services.length, 'service')} still ${services.length === 1 ? 'uses' : 'use'} replaced files until restarted: ${named(services)}`,
      ok: services.length === 0,
      severity: 'info',
    }),
  ];
}

/** Automatic updates: whether the last run failed and, where they are wanted, whether they are on. */
export function observeAutomatic(sections: Sections, isWanted: boolean): Observation[] {
  const units = parseBlocks(sections.get('units')?.text ?? '');
  return [...failedJobs(units), ...(isWanted ? [wantedJobs(sections, units)] : [])];
}

type Unit = ReadonlyMap<string, string>;

function failedJobs(units: readonly Unit[]): Observation[] {
  if (units.length === 0) return [];
  const failed = units.filter((unit) => unit.get('ActiveState') === 'failed').map((unit) => unit.get('Id') ?? '');
  return [
    state({
      condition: 'automatic-updates-failing',
      resource: 'automatic updates',
      summary: failed.length === 0 ? 'the automatic package jobs have not failed' : `${named(failed)} failed`,
      ok: failed.length === 0,
      severity: 'warning',
    }),
  ];
}

function wantedJobs(sections: Sections, units: readonly Unit[]): Observation {
  const period = /^APT::Periodic::Unattended-Upgrade "(.*?)";$/m.exec(sections.get('automatic')?.text ?? '')?.[1];
  const timer = units.find((unit) => unit.get('Id') === 'apt-daily-upgrade.timer');
  const isConfigured = period !== undefined && period !== '0';
  const isOn = isConfigured && (timer === undefined || timer.get('ActiveState') === 'active');
  const reason = isConfigured ? 'apt-daily-upgrade.timer is not active' : 'APT::Periodic::Unattended-Upgrade is not 1';
  return state({
    condition: 'automatic-updates-off',
    resource: 'automatic updates',
    holdMs: 0,
    summary: isOn ? 'automatic updates are on' : `automatic updates are off: ${reason}`,
    ok: isOn,
    severity: 'warning',
  });
}

export function observeRelease(sections: Sections, now: number): Observation[] {
  const { name, endsAt } = readRelease(sections.get('release')?.text ?? '', sections.get('ends')?.text ?? '');
  if (endsAt === undefined) return [];
  const leftMs = endsAt - now;
  const day = new Date(endsAt).toISOString().slice(0, 10);
  return [
    state({
      condition: 'release-ended',
      resource: 'release',
      holdMs: 0,
      summary: `${oneLine(name, 80)} ${leftMs < 0 ? 'got security updates' : 'gets security updates'} until ${day}`,
      ok: leftMs >= noticeMs,
      severity: leftMs < 0 ? 'warning' : 'info',
    }),
  ];
}
