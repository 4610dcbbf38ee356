import type { Manifest } from '#bus/messages/manifest.ts';
import type { Spent } from '../llm/ledger.ts';
import { dayAndTime, localTime } from '../local-time.ts';
import { span } from '../render/moment.ts';
import { cut } from '../render/visible.ts';
import type { DigestFacts } from './facts.ts';

/** Telegram refuses texts over 4096 characters. */
export const maximumDigest = 4_096;

interface Section {
  lines: string[];
  /** Sections that may lose lines when there is no room, the highest first; 0 never does. */
  givesWay: number;
}

/** The digest as one message. Contract: at most 4096 characters; what was left out is counted. */
export function digestText(facts: DigestFacts, timeZone: string): string {
  const sections = [
    headSection(facts, timeZone),
    openSection(facts, timeZone),
    openedSection(facts, timeZone),
    checkedSection(facts),
    workSection(facts, timeZone),
    costSection(facts),
    selfSection(facts),
    journalSection(facts),
  ];
  return fit(sections);
}

function fit(sections: Section[]): string {
  const join = (): string =>
    sections
      .filter((section) => section.lines.length > 0)
      .map((section) => section.lines.join('\n'))
      .join('\n\n');
  const yielding = sections.filter((section) => section.givesWay > 0).toSorted((a, b) => b.givesWay - a.givesWay);
  for (const section of yielding) {
    const [title = '', ...lines] = section.lines;
    for (let kept = lines.length; join().length > maximumDigest && kept > 0; kept -= 1) {
      const left = lines.length - kept + 1;
      section.lines = [title, ...lines.slice(0, kept - 1), `  and ${left} more`];
    }
  }
  const text = join();
  return text.length <= maximumDigest ? text : `${text.slice(0, maximumDigest - 6)}\n(cut)`;
}

function headSection(facts: DigestFacts, timeZone: string): Section {
  const at = (ms: number): string => dayAndTime(ms, timeZone);
  const open = facts.stillOpen.length;
  const verdict = open === 0 ? 'Nothing is open.' : `${open} ${open === 1 ? 'incident is' : 'incidents are'} open.`;
  const delays = [
    facts.detectMs !== undefined && `detect ${span(facts.detectMs)}`,
    facts.approveMs !== undefined && `approve ${span(facts.approveMs)}`,
    facts.fixMs !== undefined && `fix ${span(facts.fixMs)}`,
  ].filter((text) => text !== false);
  const missed = facts.missedDays.length;
  return {
    givesWay: 0,
    lines: [
      `Lares digest, ${at(facts.from)} to ${at(facts.to)}`,
      ...(missed > 0
        ? [`Missed while Lares was not running: the digest of ${facts.missedDays.slice(-5).join(', ')}`]
        : []),
      verdict,
      `Incidents: ${facts.opened.length} opened, ${facts.closed} over. Findings: ${facts.findings}, ${facts.folded} folded away. Sounds: ${facts.sounds}`,
      ...(delays.length > 0 ? [`Median time to ${delays.join(', ')}`] : []),
    ],
  };
}

function openSection(facts: DigestFacts, timeZone: string): Section {
  const lines = facts.stillOpen.map(({ id, title, severity, startsAt, acknowledgedBy }) => {
    const by = acknowledgedBy === undefined ? '' : `, acknowledged by ${short(acknowledgedBy, 40)}`;
    return `  ${severity} ${short(title, 160)} (${id}, since ${dayAndTime(startsAt, timeZone)}${by})`;
  });
  return { givesWay: 1, lines: lines.length === 0 ? [] : ['Open now', ...lines] };
}

function openedSection(facts: DigestFacts, timeZone: string): Section {
  const lines = facts.opened
    .filter((incident) => incident.state !== 'open')
    .map(({ title, severity, startsAt, endsAt }) => {
      const lasted = endsAt === undefined ? '' : `, ${span(endsAt - startsAt)}`;
      return `  ${localTime(startsAt, timeZone).time} ${severity} ${short(title, 140)}${lasted}`;
    });
  return { givesWay: 5, lines: lines.length === 0 ? [] : ['Came and went', ...lines] };
}

function checkedSection({ manifest }: DigestFacts): Section {
  if (manifest === undefined) return { givesWay: 0, lines: ['Checked', '  nothing: no sentinel has reported yet'] };
  const { counts, unseen } = manifest;
  return {
    givesWay: 3,
    lines: [
      'Checked',
      `  ${countsText(counts)}`,
      ...unseen.map(({ reason, count }) => `  could not check ${count}: ${short(reason, 160)}`),
    ],
  };
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

export function countsText(counts: Manifest['counts']): string {
  const { checks, hosts, ok, pending, firing, asleep, unknown, stale } = counts;
  const resting = asleep === 0 ? '' : ` ${asleep} asleep,`;
  return `${counted(checks, 'check')} on ${counted(hosts, 'host')}: ${ok} ok, ${pending} pending, ${firing} firing,${resting} ${unknown} unknown, ${stale} stale`;
}

function workSection(facts: DigestFacts, timeZone: string): Section {
  const runs = facts.runs.map(
    (run) =>
      `  ${run.playbook} on ${short(run.hosts, 100)}: ${run.status}${run.outcome === undefined ? '' : `, ${run.outcome}`}`,
  );
  const waiting = facts.pendingPlans.map(
    (plan) => `  waits for a decision: ${short(plan.title, 120)} (until ${localTime(plan.expiresAt, timeZone).time})`,
  );
  return { givesWay: 4, lines: runs.length + waiting.length === 0 ? [] : ['Plans and runs', ...waiting, ...runs] };
}

function costSection({ spending, capEuro }: DigestFacts): Section {
  if (spending.length === 0) return { givesWay: 0, lines: ['Models: none configured, rules only'] };
  const lines = spending.map(
    (entry) =>
      `  ${entry.provider}: ${entry.euro.toFixed(3)} €, ${entry.calls} calls, ${entry.inputTokens} tokens in, ${entry.outputTokens} out`,
  );
  return { givesWay: 2, lines: [`Models this month: ${spentText(spending, capEuro)}`, ...lines] };
}

/** `0.12 € of 5.00 €`. */
export function spentText(spending: readonly Spent[], capEuro: number): string {
  const total = spending.reduce((sum, entry) => sum + entry.euro, 0);
  return `${total.toFixed(2)} € of ${capEuro.toFixed(2)} €`;
}

function selfSection({ agents, refusedMessages, setAside }: DigestFacts): Section {
  const lines = agents.map(({ agent, health, announcedAt }) => {
    if (announcedAt !== undefined) return `  ${agent}: offline`;
    if (health === undefined) return `  ${agent}: no health report yet`;
    return `  ${agent}: ${Math.round(health.residentBytes / 1_048_576)} MB, ${Math.round(health.cpuSeconds)} s CPU since its start`;
  });
  const refused = refusedMessages.map(({ channel, error }) => `  not delivered on ${channel}: ${short(error, 160)}`);
  const bugs = setAside.map(
    ({ kind, count, error }) => `  set aside, a bug: ${count} of kind ${kind}: ${short(error, 160)}`,
  );
  const all = [...bugs, ...lines, ...refused];
  return { givesWay: 6, lines: all.length === 0 ? [] : ['Lares itself', ...all] };
}

function journalSection({ journals }: DigestFacts): Section {
  const lines = journals.map(({ agent, sequence, head }) => `  ${agent} ${sequence} ${head.slice(0, 32)}`);
  return { givesWay: 0, lines: ['Journal heads', ...lines.slice(0, 4)] };
}

/** On one line. */
function short(text: string, length: number): string {
  return cut(text.replaceAll(/\s+/g, ' '), length);
}
