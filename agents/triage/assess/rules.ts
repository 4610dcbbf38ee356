import type { Assessment } from '#bus/messages/assessment.ts';
import type { Finding } from '#bus/messages/finding.ts';
import type { Risk } from '#bus/messages/plan.ts';
import { answersTo } from '#playbooks/answers.ts';
import type { Candidate } from '#playbooks/playbook.ts';
import { cut } from '../render/visible.ts';
import type { IncidentFacts } from './incident-facts.ts';
import { telltaleIn, thingOf } from './telltales.ts';

/** What the rules think, with no model and no network. */
export type Opinion = Pick<Assessment, 'cause' | 'confidence' | 'evidence' | 'proposal'>;

const maximumEvidence = 5;

/** Pure: the same facts give the same opinion. */
export function assessByRules(facts: IncidentFacts): Opinion {
  const { root } = facts;
  const found = root.condition === 'problem' ? telltaleIn(root) : undefined;
  const plain = plainCause(facts);
  const cause = found === undefined ? plain.cause : `${capital(found.cause)}.`;
  const change = changeIn(root);
  const evidence = [found?.line, change?.line, ...plain.evidence].filter((line) => line !== undefined && line !== '');
  const proposal =
    root.condition === 'problem' && found?.telltale.isHopeless !== true
      ? proposalOf(facts, found?.telltale.prefers)
      : undefined;
  return {
    cause: [cause, symptoms(facts), shortlyBefore(change), pastFix(root)]
      .filter((part) => part !== '')
      .join(' ')
      .slice(0, 2_000),
    confidence: found?.telltale.confidence ?? plain.confidence,
    evidence: [...new Set(evidence)].slice(0, maximumEvidence).map((line) => (line ?? '').slice(0, 600)),
    ...(proposal !== undefined && { proposal }),
  };
}

interface PlainCause {
  cause: string;
  confidence: number;
  evidence: string[];
}

/** Sorts of trouble whose measured value is the cause. */
const sorts: readonly (readonly [RegExp, (facts: IncidentFacts) => Omit<PlainCause, 'evidence'>])[] = [
  [/^(?:host|node|guest|instance).?(?:down|unreachable|offline)|^ping|unreachable/i, hostGone],
  [/inode/i, (facts) => told(facts, 'has too many files: its inodes run out, whatever space is left', 0.9)],
  [/read.?only/i, (facts) => told(facts, 'went read-only: usually the kernel does that after disk errors', 0.7)],
  [/filesystem|disk.*(?:full|space|usage)|outofdiskspace|storage/i, (facts) => told(facts, 'is full', 0.9)],
  [
    /cert.*expired/i,
    (facts) => told(facts, 'shows a certificate that has expired: its renewal did not work or was not loaded', 0.85),
  ],
  [/cert.*invalid/i, invalidCertificate],
  [
    /cert/i,
    (facts) =>
      told(facts, 'shows a certificate that expires soon: its renewal did not work or the new one was not loaded', 0.8),
  ],
  [/memory|swap|oom/i, (facts) => told(facts, 'runs short of memory', 0.7)],
  [/restarting|crash.?loop/i, (facts) => told(facts, 'starts and ends again and again', 0.6)],
  [/unit|service|systemd/i, (facts) => told(facts, 'is not running', 0.5)],
  [/container|docker/i, (facts) => told(facts, 'is not running as it should', 0.5)],
  [/http.*slow|latency/i, (facts) => told(facts, 'answers, but too slowly', 0.5)],
  [/http/i, httpCause],
  [/port.?new/i, (facts) => told(facts, 'is open and was not before: somebody started a program that listens', 0.6)],
  [/port.?closed|tcp/i, (facts) => told(facts, 'does not listen: the program behind it is down or hung', 0.5)],
  [/heartbeat/i, (facts) => told(facts, 'did not report: the job did not run, failed, or cannot reach Lares', 0.5)],
  [/load|cpu/i, (facts) => told(facts, 'has more work than its processors can do', 0.6)],
  [/clock|ntp|time/i, (facts) => told(facts, 'has a clock that is not kept in time', 0.8)],
  [/reboot/i, (facts) => told(facts, 'waits for a reboot to use what was updated', 0.9)],
  [/update|patch/i, (facts) => told(facts, 'misses updates', 0.9)],
  [/backup|snapshot/i, (facts) => told(facts, 'has no recent backup', 0.8)],
  [/dns|zone|resolve/i, (facts) => told(facts, 'gives no or a wrong DNS answer', 0.6)],
];

function plainCause(facts: IncidentFacts): PlainCause {
  const { root } = facts;
  const evidence = root.evidence
    .filter((piece) => piece.kind === 'values' || piece.kind === 'state')
    .flatMap((piece) => piece.lines.slice(0, 2));
  switch (root.condition) {
    case 'unknown':
      return { cause: `It could not be looked at: ${sentence(root.summary)}`, confidence: 0.4, evidence };
    case 'stale':
      return { cause: `It was not looked at for too long: ${sentence(root.summary)}`, confidence: 0.4, evidence };
    case 'flapping':
      return {
        cause: `${capital(thingOf(root))} goes back and forth: ${sentence(root.summary)}`,
        confidence: 0.4,
        evidence,
      };
    case 'problem':
      break;
  }
  const name = root.labels['alertname'] ?? root.kind;
  const sort = sorts.find(([pattern]) => pattern.test(name));
  if (sort === undefined)
    return { cause: `No rule knows the cause: ${sentence(root.summary)}`, confidence: 0.1, evidence };
  return { ...sort[1](facts), evidence };
}

function told({ root }: IncidentFacts, what: string, confidence: number): Omit<PlainCause, 'evidence'> {
  const where = root.host === undefined || thingOf(root) === root.host ? '' : ` on ${root.host}`;
  return { cause: `${capital(thingOf(root))}${where} ${what}: ${sentence(root.summary)}`, confidence };
}

function hostGone(facts: IncidentFacts): Omit<PlainCause, 'evidence'> {
  const { root, members } = facts;
  const name = root.host ?? thingOf(root);
  const below = new Set(members.map((member) => member.host).filter((host) => host !== undefined && host !== name));
  const behind = below.size === 0 ? '' : ` Beyond it ${below.size} more hosts are hurt.`;
  return {
    cause: `${capital(name)} does not answer: it is off, hangs, or the network to it is cut: ${sentence(root.summary)}${behind}`,
    confidence: 0.6,
  };
}

function invalidCertificate(facts: IncidentFacts): Omit<PlainCause, 'evidence'> {
  return /expired/i.test(facts.root.summary)
    ? told(facts, 'shows a certificate that has expired: its renewal did not work or was not loaded', 0.85)
    : told(facts, 'shows a certificate that its clients refuse: wrong name, unknown issuer or incomplete chain', 0.7);
}

/** What a status or a connection error says about who is to blame. */
const httpClues: readonly (readonly [RegExp, string, number])[] = [
  [
    /\b50[234]\b|bad gateway|service unavailable|gateway time/i,
    'is reached, but the proxy in front cannot reach the program behind it',
    0.75,
  ],
  [/\b500\b/, 'runs, but fails inside', 0.6],
  [/\b40[13]\b/, 'runs, but refuses the check: a login or a rule is in between', 0.6],
  [/\b404\b/, 'runs, but does not know this address: a route or the deployment changed', 0.6],
  [/refused/i, 'does not listen: its program is down', 0.7],
  [/timed? ?out|timeout|no answer/i, 'accepts no or answers no request: it hangs, or a firewall drops it', 0.5],
  [/resolve|ENOTFOUND|EAI_AGAIN|name or service/i, 'cannot be found: its name does not resolve', 0.8],
  [/certificate|tls|ssl/i, 'cannot be trusted: its TLS certificate is refused', 0.75],
];

function httpCause(facts: IncidentFacts): Omit<PlainCause, 'evidence'> {
  const found = httpClues.find(([pattern]) => pattern.test(facts.root.summary));
  return told(facts, found?.[1] ?? 'does not answer as it should', found?.[2] ?? 0.4);
}

function symptoms({ root, members }: IncidentFacts): string {
  const others = members.filter((member) => member.fingerprint !== root.fingerprint && member.status === 'firing');
  return others.length === 0
    ? ''
    : `${others.length} other ${others.length === 1 ? 'finding follows' : 'findings follow'} from it.`;
}

/** A change so long before is rather the cause than a coincidence. */
const shortlyMs = 60 * 60_000;
const isLogin = /^\S+ logged in\b/;
const maximumChange = 160;

function shortlyBefore(change: Change | undefined): string {
  return change === undefined ? '' : `Shortly before: ${sentence(cut(change.text, maximumChange))}`;
}

interface Change {
  line: string;
  /** Without when it was. */
  text: string;
}

/**
 * What changed on the host shortly before: the newest, or what names the unit or container itself. Lines of this kind
 * begin with their instant. That somebody logged in changes nothing.
 */
function changeIn(root: Finding): Change | undefined {
  const lines = root.evidence.find((piece) => piece.kind === 'change')?.lines ?? [];
  const recent = lines.flatMap((line): Change[] => {
    const [, at = '', text = ''] = /^(\S+) \([^)]*\) (.+)$/.exec(line) ?? [];
    const beforeMs = Date.parse(root.startsAt) - Date.parse(at);
    return beforeMs <= shortlyMs && !isLogin.test(text) ? [{ line, text }] : [];
  });
  const own = root.labels['unit'] ?? root.labels['container'];
  return recent.find(({ text }) => own !== undefined && text.includes(own)) ?? recent[0];
}

function pastFix(root: Finding): string {
  const past = root.evidence
    .find((piece) => piece.kind === 'history')
    ?.lines.find((line) => /fixed/i.test(line) && !/not[- ]fixed/i.test(line));
  return past === undefined ? '' : `Last time: ${sentence(past)}`;
}

const riskRank: Record<Risk, number> = { low: 0, medium: 1, high: 2, critical: 3 };

/**
 * The one best playbook that could end the root finding: all parameters known, the most particular answer, then the
 * lowest risk, then the one that fits the cause. Nothing when two are equally good or the host is not ours.
 */
function proposalOf(facts: IncidentFacts, prefers?: string): Assessment['proposal'] {
  const { host } = facts.root;
  if (host === undefined || !facts.inventory.includes(host)) return undefined;
  const ranked = facts.candidates
    .filter((candidate) => candidate.missing.length === 0)
    .map((candidate) => ({ candidate, rank: rankOf(candidate, facts.root) }))
    .toSorted((a, b) => compare(a.rank, b.rank));
  const [best, ...rest] = ranked;
  if (best === undefined) return undefined;
  const equals = [best, ...rest.filter((other) => compare(other.rank, best.rank) === 0)];
  const chosen =
    equals.length === 1
      ? best
      : equals.find(({ candidate }) => candidate.playbook.id === (prefers ?? habit(facts.root)));
  if (chosen === undefined) return undefined;
  const { playbook, parameters } = chosen.candidate;
  return { playbook: playbook.id, parameters, hosts: [host] };
}

/** With nothing known of the cause: what a person would try first. */
function habit(root: Finding): string {
  return root.labels['container'] === undefined ? 'restart-systemd-unit' : 'restart-docker-container';
}

type Rank = readonly [specificity: number, risk: number];

function rankOf({ playbook }: Candidate, root: Finding): Rank {
  const specificity = Math.max(
    0,
    ...playbook.answers.filter((answer) => answersTo(answer, root.labels)).map((answer) => Object.keys(answer).length),
  );
  return [-specificity, riskRank[playbook.risk]];
}

function compare(a: Rank, b: Rank): number {
  return a[0] - b[0] || a[1] - b[1];
}

function sentence(text: string): string {
  const trimmed = text.trim().slice(0, 400);
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

function capital(text: string): string {
  // Names of units and hosts keep their spelling; only plain words get a capital.
  return /^(?:the|something|container|it)\b/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}
