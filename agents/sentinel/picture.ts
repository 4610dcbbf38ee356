import { compareSeverity } from '#bus/fields.ts';
import type { HostState } from '#bus/messages/host-state.ts';
import type { Manifest } from '#bus/messages/manifest.ts';
import type { Finding } from '#bus/messages/finding.ts';
import type { BoundCheck } from './registry.ts';
import { isFiring, type TrackState } from './state.ts';
import type { Track, Watch } from './tracks.ts';

const maximumReasons = 20;
const staleReason = 'not looked at for three intervals';

type Counts = Manifest['counts'];
type Watches = ReadonlyMap<string, Watch>;

/** Everything counted once, worst word first: what nobody could look at is never counted as well. */
export function countAll(
  watches: Watches,
  hosts: number,
  foreign: readonly Finding[] = [],
): Pick<Manifest, 'counts' | 'unseen'> {
  const counts: Counts = { checks: watches.size, hosts, ok: 0, pending: 0, firing: 0, asleep: 0, unknown: 0, stale: 0 };
  const reasons = new Map<string, number>();
  for (const { word, reason } of [...[...watches.values()].flatMap(wordsOf), ...foreign.map(foreignWord)]) {
    counts[word] += 1;
    if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  const unseen = [...reasons]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, maximumReasons)
    .map(([reason, count]) => ({ reason: reason.slice(0, 200), count }));
  return { counts, unseen };
}

/** What is not well, in words, the worst first. */
export function troubles(watches: Watches): string[] {
  const bad = [...watches.values()]
    .flatMap(({ tracks }) => [...tracks.values()])
    .flatMap(({ sort, state, last }) => (sort === 'problem' && state.phase !== 'ok' && last ? [{ state, last }] : []))
    .toSorted((a, b) => compareSeverity(b.state.severity, a.state.severity));
  return bad.map(({ last }) => last.summary);
}

type Word = 'ok' | 'pending' | 'firing' | 'asleep' | 'unknown' | 'stale';

interface Counted {
  word: Word;
  reason?: string;
}

function wordsOf(watch: Watch): Counted[] {
  const tracks = [...watch.tracks.values()];
  const isStale = tracks.some((track) => track.sort === 'stale' && track.state.phase !== 'ok');
  const problems = problemsOf(watch);
  const named = new Set(problems.map((track) => track.resource));
  const unseen = tracks.filter(
    (track) => track.sort === 'unknown' && track.state.phase !== 'ok' && !named.has(track.resource),
  );
  const words = [...problems.map((track) => wordOf(track, isStale)), ...unseen.map(unknownOf)];
  return isStale && words.length === 0 ? [{ word: 'stale', reason: staleReason }] : words;
}

function foreignWord({ condition, summary }: Finding): Counted {
  return condition === 'unknown' ? { word: 'unknown', reason: summary } : { word: 'firing' };
}

function wordOf(track: Track, isStale: boolean): Counted {
  if (isFiring(track.state)) return { word: 'firing' };
  if (isStale) return { word: 'stale', reason: staleReason };
  if (track.unseen !== undefined) return unknownOf(track);
  if (track.asleep !== undefined) return { word: 'asleep' };
  return { word: track.state.phase === 'pending' ? 'pending' : 'ok' };
}

/** That it could not be seen outlives a restart, why does not. */
function unknownOf(track: Track): Counted {
  return { word: 'unknown', reason: track.unseen ?? 'the last look before the start could not' };
}

/** What tells whether a host is there: the checks that ask just that, and those that look on it. */
export interface Reachability {
  asking: ReadonlyMap<string, readonly Watch[]>;
  looking: ReadonlyMap<string, readonly Watch[]>;
}

export function reachabilityChecks(watches: Watches): Reachability {
  const ofHosts = [...watches.values()].filter(({ check }) => check.config.host !== undefined);
  const byHost = (list: Watch[]): ReadonlyMap<string, Watch[]> =>
    Map.groupBy(list, ({ check }) => check.config.host ?? '');
  return {
    asking: byHost(ofHosts.filter(({ check }) => asksReachability(check))),
    looking: byHost(ofHosts.filter(({ check }) => check.definition.reach === 'host')),
  };
}

/** A bad answer counts at once; whoever could look on the host, or got an answer, has reached it. */
export function reachabilityOf({ asking, looking }: Reachability, host: string): HostState['reachability'] {
  const asked = asking.get(host) ?? [];
  if (asked.some((watch) => problemsOf(watch).some((track) => isBad(track.state)))) return 'unreachable';
  if (asked.some((watch) => problemsOf(watch).some((track) => track.asleep !== undefined))) return 'asleep';
  return [...asked, ...(looking.get(host) ?? [])].some(hasSeen) ? 'reachable' : 'unknown';
}

function hasSeen(watch: Watch): boolean {
  return (
    watch.lookedAt !== undefined &&
    problemsOf(watch).some((track) => track.unseen === undefined && track.asleep === undefined)
  );
}

/** Without what is gone and only remembered, in case it flaps: nobody looked at it. */
function problemsOf({ tracks }: Watch): Track[] {
  return [...tracks.values()].filter(
    ({ sort, state, isGone }) => sort === 'problem' && !(isGone === true && !isFiring(state)),
  );
}

/** The default `<host>-reachable`, or whatever the person wrote in its place. */
export function asksReachability({ id, kind, config, options }: BoundCheck): boolean {
  if (config.host === undefined) return false;
  if (kind === 'on-demand') return options['what'] === 'host';
  return id === `${config.host}-reachable` || options['condition'] === 'host-down';
}

/** Bad at the last look that saw anything. */
export function isBad(state: TrackState): boolean {
  return state.phase === 'firing' || (state.phase === 'pending' && state.heldSince !== null);
}

export function hostStates(options: {
  reachability: Reachability;
  hosts: readonly string[];
  firing: readonly Finding[];
}): Omit<HostState, 'at'>[] {
  const byHost = Map.groupBy(options.firing, (finding) => finding.host ?? '');
  return options.hosts.map((host) => {
    const findings = byHost.get(host) ?? [];
    const worst = findings
      .map((finding) => finding.severity)
      .toSorted(compareSeverity)
      .at(-1);
    return {
      host,
      problem: findings.length > 0,
      findings: findings.length,
      ...(worst !== undefined && { worst }),
      reachability: reachabilityOf(options.reachability, host),
    };
  });
}
