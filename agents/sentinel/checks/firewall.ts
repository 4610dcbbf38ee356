import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { isRefused, rootHint, sudoOption, sudoValue } from '#agents/sentinel/probes/as-root.ts';
import { type Change, driftOf } from '#agents/sentinel/probes/drift.ts';
import { type FirewallState, parseFirewall } from '#agents/sentinel/probes/firewall.ts';
import {
  type Firewall,
  firewallCommands,
  firewallEvidenceScript,
  firewalls,
  firewallScript,
} from '#agents/sentinel/probes/firewall-script.ts';
import { askHost, linesOf, partFailure } from '#agents/sentinel/probes/host-answer.ts';
import { parseJournal } from '#agents/sentinel/probes/journal.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import type { Section } from '#agents/sentinel/probes/sections.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const shown = 50;
const maximumBytes = 30_000;
/** Chains that Docker, fail2ban, CrowdSec, Kubernetes and their like rewrite all day. */
const restless = [
  '*DOCKER*',
  '*docker*',
  '*f2b-*',
  '*fail2ban*',
  '*crowdsec*',
  '*CROWDSEC*',
  '*KUBE-*',
  '*CNI-*',
  '*libvirt*',
  '*LIBVIRT*',
  '* ts-*',
];

const Options = z.strictObject({
  firewall: z
    .enum(['auto', ...firewalls])
    .default('auto')
    .describe('Which one; `auto` takes what the host is set up with.'),
  allow: z
    .array(z.string().min(1).max(60))
    .max(200)
    .optional()
    .describe('Of ufw: all that may come in from anywhere, as `ufw status` writes it: `22/tcp`, `443`, `Nginx Full`.'),
  ignore: z
    .array(z.string().min(1).max(120))
    .max(100)
    .default(restless)
    .describe(
      'Chains and rules whose changes are not told; `*` stands for any text. Default: those of Docker, fail2ban and their like.',
    ),
  quietAfter: durationOr('24h').describe('A change that stays so long is usual from then on; 0s: it never is.'),
  sudo: sudoOption(Object.values(firewallCommands)),
});
type Options = z.output<typeof Options>;
type Sections = ReadonlyMap<string, Section>;

export const check = defineCheck({
  kind: 'firewall',
  about:
    'A firewall that is off, lets everything in, lets in more than it may, or whose rules changed. Its rules are readable for root only.',
  options: Options,
  reach: 'host',
  resourceOf: () => 'firewall',
  observe,
  evidence: { about: 'what the firewall and sudo logged, and when its files changed', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const answer = await askHost(context, {
    script: firewallScript,
    values: [sudoValue(options.sudo), options.firewall],
  });
  const nothing = { condition: 'firewall-off', resource: 'firewall' };
  if (!answer.ok) return [unseen(nothing, answer.reason)];
  const { sections } = answer;
  const chosen = sections.get('chosen')?.text.trim();
  if (chosen === 'none') return [offObservation(undefined)];
  const kind = firewalls.find((name) => name === chosen);
  if (kind === undefined) return [unseen(nothing, 'the host did not say which firewall it has')];
  const seen = readFirewall(kind, sections, options.ignore);
  if (!seen.ok) return [seen.isOff ? offObservation(kind) : unseen(nothing, seen.reason)];
  return [
    seen.state.isOn ? onObservation(kind, seen.state) : offObservation(kind),
    ...(seen.state.isOn ? openObservations(options, kind, seen.state) : []),
    ...changes(options, context, { kind, rules: seen.state.rules }),
  ];
}

type Seen = { ok: true; state: FirewallState } | { ok: false; isOff: boolean; reason: string };

function readFirewall(kind: Firewall, sections: Sections, ignore: readonly string[]): Seen {
  const rules = sections.get('rules');
  const read = rules !== undefined && rules.code === 0 ? parseFirewall(kind, rules.text, ignore) : undefined;
  if (read !== undefined) return { ok: true, state: read };
  // What is switched off for certain needs no root to be seen.
  const isOff =
    (kind === 'ufw' && linesOf(sections, 'settings').includes('ENABLED=no')) ||
    (kind === 'firewalld' && ['inactive', 'failed'].includes(sections.get('running')?.text.trim() ?? ''));
  const reason = isRefused(rules?.text ?? '')
    ? rootHint(`the rules of ${kind}`)
    : partFailure(rules, `"${firewallCommands[kind]}"`);
  return { ok: false, isOff, reason };
}

function onObservation(kind: Firewall, of: FirewallState): Observation {
  return state({
    condition: 'firewall-off',
    resource: 'firewall',
    summary: `${kind} is on${of.rules.size > 0 ? ` with ${counted(of.rules.size, kind === 'ufw' ? 'rule' : 'chain or zone')}` : ''}`,
    ok: true,
    severity: 'critical',
  });
}

function offObservation(kind: Firewall | undefined): Observation {
  return state({
    condition: 'firewall-off',
    resource: 'firewall',
    summary:
      kind === undefined
        ? 'this host has no firewall'
        : kind === 'nftables' || kind === 'iptables'
          ? `${kind} has no rule for what comes in`
          : `${kind} is off`,
    ok: false,
    severity: 'critical',
  });
}

function openObservations(options: Options, kind: Firewall, of: FirewallState): Observation[] {
  const allow = new Set(options.allow);
  const more = options.allow === undefined ? [] : of.openToAll.filter((port) => !allow.has(port));
  const open =
    of.byDefault === undefined
      ? []
      : [
          state({
            condition: 'firewall-open',
            resource: 'incoming',
            summary: `${kind}: what no rule speaks of is ${of.byDefault}`,
            ok: of.byDefault === 'denied',
            severity: 'warning',
          }),
        ];
  return [
    ...open,
    ...more.slice(0, shown).map((port) =>
      state({
        condition: 'firewall-rule-unexpected',
        resource: port,
        labels: { port: oneLine(port, 60) },
        holdMs: 0,
        summary: `${kind} lets in ${port} from anywhere, which is not allowed`,
        ok: false,
        severity: 'warning',
      }),
    ),
  ];
}

/** A host that changes its firewall has two memories, which together fit into that of the check. */
function changes(
  options: Options,
  context: CheckContext,
  of: { kind: Firewall; rules: ReadonlyMap<string, string> },
): Observation[] {
  const drift = driftOf(context.memory, of.kind, {
    maximumBytes,
    values: of.rules,
    at: context.clock.now(),
    quietAfterMs: options.quietAfter,
  });
  const nothing = { condition: 'firewall-changed', resource: 'rules' };
  if (drift === undefined)
    return [unseen(nothing, 'it has more rules than are remembered: leave some out with "ignore"')];
  return drift.changes.slice(0, shown).map((change) =>
    state({
      condition: 'firewall-changed',
      resource: change.name,
      holdMs: 0,
      summary: `${change.name} ${textOf(change)}`,
      ok: false,
      severity: 'warning',
    }),
  );
}

function textOf({ was, is }: Change): string {
  if (is === undefined) return 'is no longer there';
  return was === undefined ? 'is new' : 'has other rules than before';
}

async function gather(_options: Options, context: CheckContext): Promise<Evidence[]> {
  const answer = await askHost(context, { script: firewallEvidenceScript, timeoutMs: 5_000 });
  if (!answer.ok) return [];
  return [
    ...evidenceOf(
      'log',
      'Firewall and sudo, since yesterday',
      parseJournal(answer.sections.get('journal')?.text ?? ''),
    ),
    ...evidenceOf(
      'change',
      'Files of the firewall',
      linesOf(answer.sections, 'files').filter((line) => line.startsWith('/')),
    ),
  ];
}
