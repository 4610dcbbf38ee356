import type { Manifest } from '#bus/messages/manifest.ts';
import { counted } from './probes/text.ts';

/** What the first look at everything saw. */
export interface RoundSummary {
  checks: number;
  hosts: number;
  ok: number;
  /** Bad, fired already or not yet. */
  bad: number;
  unknown: number;
  unseen: { reason: string; count: number }[];
  /** What is not well, in words, the worst first. */
  troubles: string[];
  tookMs: number;
  /** All of it in one sentence for a person. */
  text: string;
}

const reasonsShown = 3;
const troubleLength = 80;

export function summarize(
  { counts, unseen, troubles }: Pick<Manifest, 'counts' | 'unseen'> & { troubles: readonly string[] },
  tookMs: number,
): RoundSummary {
  const bad = counts.pending + counts.firing;
  const unknown = counts.unknown + counts.stale;
  const looked = counts.ok + bad;
  const state = bad === 0 ? 'all well' : `${counts.ok} well, ${bad} not (${named(troubles)})`;
  const seen =
    looked === 0
      ? nothing(counts.checks)
      : `Checked ${counted(looked, 'thing')} on ${counted(counts.hosts, 'host')}: ${state}`;
  const reasons = unseen.slice(0, reasonsShown).map(({ reason, count }) => `${reason} (${count})`);
  const more = unseen.length > reasonsShown ? `; and ${unseen.length - reasonsShown} more reasons` : '';
  const blind =
    unknown === 0 ? '' : `; could not check ${counted(unknown, 'thing')} because ${reasons.join('; ')}${more}`;
  return {
    checks: counts.checks,
    hosts: counts.hosts,
    ok: counts.ok,
    bad,
    unknown,
    unseen,
    troubles: [...troubles],
    tookMs,
    text: `${seen}${blind}.`,
  };
}

function nothing(checks: number): string {
  return checks === 0 ? 'There is nothing to check: the configuration asks for no check' : 'Could check nothing';
}

function named(troubles: readonly string[]): string {
  const shown = troubles
    .slice(0, reasonsShown)
    .map((text) => (text.length > troubleLength ? `${text.slice(0, troubleLength)}…` : text));
  return troubles.length > reasonsShown
    ? `${shown.join('; ')}; and ${troubles.length - reasonsShown} more`
    : shown.join('; ');
}
