import { matchesInTime } from '#config/bounded-pattern.ts';
import { formatDuration } from '#config/duration.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import type { Content } from './files.ts';
import { state, unseen } from './reading.ts';
import { remember } from './remembered.ts';
import { oneLine } from './text.ts';

/** What the content of the newest files has to be. */
interface ContentRules {
  path: string;
  matches?: string | undefined;
  matchesNot?: string | undefined;
  sha256?: string | undefined;
  unchanged: boolean;
  /** Ms after which a change counts as accepted. */
  quietAfter: number;
}

function said({ path }: ContentRules): { resource: string; labels: Record<string, string> } {
  return { resource: path, labels: { path: oneLine(path, 500) } };
}

interface Of {
  contents: ReadonlyMap<string, Content>;
  context: CheckContext;
}

/** The newest first. */
export function contentObservations(options: ContentRules, of: Of): Observation[] {
  const [entry] = of.contents;
  if (entry === undefined) return [];
  const [path, newest] = entry;
  const wantsText = options.matches !== undefined || options.matchesNot !== undefined;
  return [
    ...(wantsText ? [textObservation(options, path, newest)] : []),
    ...(options.sha256 === undefined ? [] : [sumObservation(options, path, newest)]),
    ...(options.unchanged ? [changeObservation(options, of)] : []),
  ];
}

function unread(about: { condition: string; resource: string }, path: string, { unread: why }: Content): Observation {
  return unseen(about, `${oneLine(path, 150)}: ${why ?? 'it could not be read'}`);
}

/** The text itself is never shown: it may hold what is secret. */
function textObservation(options: ContentRules, path: string, content: Content): Observation {
  const about = { condition: 'file-content-wrong', ...said(options) };
  const { text } = content;
  if (text === undefined) return unread(about, path, content);
  const has = (pattern: string | undefined): boolean | undefined =>
    pattern === undefined ? undefined : matchesInTime(new RegExp(pattern, 'mu'), text);
  const [matches, matchesNot] = [has(options.matches), has(options.matchesNot)];
  if (
    (options.matches !== undefined && matches === undefined) ||
    (options.matchesNot !== undefined && matchesNot === undefined)
  ) {
    return unseen(about, 'the expression takes too long to match');
  }
  const why =
    matches === false
      ? `does not match /${options.matches}/`
      : matchesNot === true
        ? `matches /${options.matchesNot}/`
        : undefined;
  return state({
    ...about,
    summary: `${path} ${why ?? 'holds what it should'}`,
    ok: why === undefined,
    severity: 'critical',
  });
}

function sumObservation(options: ContentRules, path: string, content: Content): Observation {
  const about = { condition: 'file-sum-wrong', ...said(options) };
  const { sum } = content;
  if (sum === undefined) return unread(about, path, content);
  const isSame = sum === options.sha256;
  return state({
    ...about,
    summary: isSame
      ? `${path} has the sum that it should`
      : `${path} has the sum ${sum.slice(0, 12)}…, not ${options.sha256?.slice(0, 12)}…`,
    ok: isSame,
    severity: 'critical',
  });
}

/** Against what was seen first; a change that stays counts as usual after a while. */
function changeObservation(options: ContentRules, { contents: found, context }: Of): Observation {
  const blind = [...found].find(([, { sum }]) => sum === undefined);
  if (blind !== undefined) return unread({ condition: 'file-changed', ...said(options) }, ...blind);
  const now = context.clock.now();
  const sums = Object.fromEntries([...found].flatMap(([path, { sum }]) => (sum === undefined ? [] : [[path, sum]])));
  const known = knownSums(context.memory.get('sums')) ?? { sums, since: 0 };
  const changed = Object.keys({ ...known.sums, ...sums }).filter((path) => known.sums[path] !== sums[path]);
  const since = changed.length === 0 ? 0 : known.since === 0 ? now : known.since;
  const isAccepted = changed.length > 0 && now - since >= options.quietAfter;
  remember(context.memory, 'sums', isAccepted ? { sums, since: 0 } : { sums: known.sums, since });
  const isWell = changed.length === 0 || isAccepted;
  const names = changed.slice(0, 3).join(', ');
  return state({
    condition: 'file-changed',
    ...said(options),
    summary: isWell
      ? `what is in ${options.path} is as it was`
      : `changed: ${names}; it counts as accepted ${formatDuration(options.quietAfter)} after the change`,
    ok: isWell,
    severity: 'warning',
    holdMs: 0,
  });
}

function knownSums(value: unknown): { sums: Record<string, string>; since: number } | undefined {
  if (value === null || typeof value !== 'object' || !('sums' in value) || !('since' in value)) return undefined;
  return value as { sums: Record<string, string>; since: number };
}
