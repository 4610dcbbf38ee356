import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { accountCommands, accountEvidenceScript, accountScript } from '#agents/sentinel/probes/account-script.ts';
import { observeChange } from '#agents/sentinel/probes/account-change.ts';
import {
  type Account,
  canLogIn,
  parseKeys,
  parseMembers,
  parsePasswd,
  parsePasswordStates,
  parseSudoers,
} from '#agents/sentinel/probes/accounts.ts';
import { isRefused, rootHint, sudoOption, sudoValue } from '#agents/sentinel/probes/as-root.ts';
import { driftOf } from '#agents/sentinel/probes/drift.ts';
import { askHost, linesOf, partFailure } from '#agents/sentinel/probes/host-answer.ts';
import { parseJournal } from '#agents/sentinel/probes/journal.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import type { Section } from '#agents/sentinel/probes/sections.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const powerful = ['sudo', 'wheel', 'admin', 'root', 'docker', 'lxd', 'incus-admin', 'disk', 'shadow', 'libvirt'];
const parts = ['passwords', 'sudoers', 'keys'] as const;
const shown = 50;
/** Together they fit into a check's memory. */
const memoryBytes = { users: 20_000, sudoers: 8_000, keys: 30_000 };

const Options = z.strictObject({
  groups: z
    .array(z.string().regex(/^[a-z_][a-z0-9_.-]{0,31}$/, 'must be the name of a group'))
    .max(50)
    .default(powerful)
    .describe('Groups whose members are watched. Default: those that are as good as root.'),
  off: z
    .array(z.enum(parts))
    .default([])
    .describe('Parts that are not looked at; each of them needs root: `passwords`, `sudoers`, `keys` of others.'),
  expiry: z.boolean().default(false).describe('Whether passwords that never expire are told.'),
  quietAfter: durationOr('24h').describe('A change that stays so long is usual from then on; 0s: it never is.'),
  sudo: sudoOption(Object.values(accountCommands)),
});
type Options = z.output<typeof Options>;
type Sections = ReadonlyMap<string, Section>;

export const check = defineCheck({
  kind: 'accounts',
  about:
    'New and changed accounts, members of powerful groups, keys that may log in, and rules of sudo; accounts without a password.',
  options: Options,
  reach: 'host',
  resourceOf: () => 'accounts',
  observe,
  evidence: { about: 'what the tools for accounts logged, who was logged in and when the files changed', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const answer = await askHost(context, { script: accountScript, values: [sudoValue(options.sudo)] });
  const nothing = { condition: 'account-changed', resource: 'accounts' };
  if (!answer.ok) return [unseen(nothing, answer.reason)];
  const { sections } = answer;
  const passwd = sections.get('passwd');
  const accounts = parsePasswd(passwd?.text ?? '');
  if (passwd?.code !== 0 || accounts.length === 0) return [unseen(nothing, partFailure(passwd, '"cat /etc/passwd"'))];
  return [
    state({
      condition: 'account-changed',
      resource: 'accounts',
      summary: `${counted(accounts.length, 'account')}, ${accounts.filter(canLogIn).length} of them can log in`,
      ok: true,
      severity: 'info',
    }),
    ...compared(options, context, { sort: 'users', values: usersOf(options, sections, accounts) }),
    ...twins(accounts),
    ...(options.off.includes('passwords') ? [] : passwords(options, sections, accounts)),
    ...(options.off.includes('sudoers') ? [] : sudoers(options, sections, context)),
    ...(options.off.includes('keys') ? [] : keys(options, sections, context)),
  ];
}

/** Each sort has a memory of its own: what cannot be read today is neither compared nor forgotten. */
function compared(
  options: Options,
  context: CheckContext,
  of: { sort: keyof typeof memoryBytes; values: ReadonlyMap<string, string> },
): Observation[] {
  const drift = driftOf(context.memory, of.sort, {
    values: of.values,
    at: context.clock.now(),
    quietAfterMs: options.quietAfter,
    maximumBytes: memoryBytes[of.sort],
  });
  if (drift !== undefined) return drift.changes.slice(0, shown).map(observeChange);
  const reason = `there is more than is remembered of ${of.sort}`;
  return [unseen({ condition: 'account-changed', resource: of.sort }, reason)];
}

function usersOf(options: Options, sections: Sections, accounts: readonly Account[]): Map<string, string> {
  const members = parseMembers(sections.get('group')?.text ?? '', { groups: options.groups, accounts });
  return new Map([
    ...accounts.map(({ name, uid, shell }) => [`user:${name}`, `${uid} ${shell}`] as const),
    ...members.map((member) => [`member:${member}`, 'member'] as const),
  ]);
}

function sudoers(options: Options, sections: Sections, context: CheckContext): Observation[] {
  const [modes, sums] = [sections.get('modes'), sections.get('sums')];
  if (modes === undefined) return [];
  if (!isReadable(modes) || !isReadable(sums)) {
    // Everybody may list the folder and see the modes; what the files say only root may read.
    const refused = isReadable(modes) ? sums : modes;
    return [unseen({ condition: 'sudoers-changed', resource: 'sudoers' }, refusal(refused, 'the rules of sudo'))];
  }
  const files = parseSudoers(modes.text, sums?.text ?? '');
  const values = new Map([...files].map(([path, value]) => [`sudoers:${path}`, value]));
  return compared(options, context, { sort: 'sudoers', values });
}

function keys(options: Options, sections: Sections, context: CheckContext): Observation[] {
  const section = sections.get('keys');
  if (section === undefined) return [];
  // One home without keys ends find with 1; a look that was cut would make keys look removed.
  if (isRefused(section.text) || section.code > 1) {
    const nothing = { condition: 'authorized-key-changed', resource: 'keys' };
    return [unseen(nothing, refusal(section, 'the keys of others'))];
  }
  const values = new Map([...parseKeys(section.text)].map(([name, value]) => [`key:${name}`, value]));
  return compared(options, context, { sort: 'keys', values });
}

function isReadable(section: Section | undefined): boolean {
  return section?.code === 0 && !isRefused(section.text);
}

function refusal(section: Section | undefined, what: string): string {
  return section !== undefined && isRefused(section.text) ? rootHint(what) : partFailure(section, 'the look');
}

function twins(accounts: readonly Account[]): Observation[] {
  return accounts
    .filter(({ uid, name }) => uid === 0 && name !== 'root')
    .slice(0, shown)
    .map(({ name }) =>
      state({
        condition: 'root-twin',
        resource: name,
        labels: { user: oneLine(name, 60) },
        holdMs: 0,
        summary: `${name} has uid 0: it is root by another name`,
        ok: false,
        severity: 'critical',
      }),
    );
}

function passwords(options: Options, sections: Sections, accounts: readonly Account[]): Observation[] {
  const section = sections.get('passwords');
  const states = parsePasswordStates(section?.text ?? '');
  const nothing = { condition: 'password-empty', resource: 'passwords' };
  if (section?.code !== 0 || states.length === 0) return [unseen(nothing, refusal(section, 'the state of passwords'))];
  const able = new Set(accounts.filter(canLogIn).map(({ name }) => name));
  const usable = states.filter(({ name }) => able.has(name));
  const empty = usable.filter((one) => one.state === 'NP').map(({ name }) => name);
  const endless = usable
    .filter(({ state: is, maximumDays }) => is.startsWith('P') && (maximumDays < 0 || maximumDays >= 99_999))
    .map(({ name }) => name);
  return [
    state({
      ...nothing,
      holdMs: 0,
      summary:
        empty.length === 0
          ? 'every account that can log in has a password or is locked'
          : `without a password: ${empty.join(', ')}`,
      ok: empty.length === 0,
      severity: 'critical',
    }),
    ...(options.expiry ? [expiryObservation(endless)] : []),
  ];
}

function expiryObservation(endless: readonly string[]): Observation {
  return state({
    condition: 'password-never-expires',
    resource: 'passwords',
    holdMs: 0,
    summary:
      endless.length === 0
        ? 'every password expires'
        : `passwords that never expire: ${endless.slice(0, 20).join(', ')}`,
    ok: endless.length === 0,
    severity: 'info',
  });
}

async function gather(_options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const path = observation.labels?.['path'];
  const values = path?.startsWith('/') === true ? [path] : [];
  const answer = await askHost(context, { script: accountEvidenceScript, values, timeoutMs: 5_000 });
  if (!answer.ok) return [];
  const { sections } = answer;
  return [
    ...evidenceOf('log', 'Tools for accounts, since yesterday', parseJournal(sections.get('tools')?.text ?? '')),
    ...evidenceOf('state', 'The files', linesOf(sections, 'files')),
    ...evidenceOf('state', 'Who is logged in', linesOf(sections, 'who')),
    ...evidenceOf('state', 'Last logins', linesOf(sections, 'last')),
    ...evidenceOf('change', 'Package changes (dpkg.log)', linesOf(sections, 'packages')),
  ];
}
