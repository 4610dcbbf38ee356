import type { AuthEvent } from './auth-log.ts';

/** A login that somebody should know of, told for some time. */
export interface TellingLogin {
  key: string;
  at: number;
  is: 'after-failures' | 'root';
  source: string;
  user: string;
  service: string;
  method: string;
  failures: number;
}

/** What one check remembers of attempts between its looks. */
export interface AuthMemory {
  cursor?: string;
  /** Epoch ms of the host's clock at the last look. */
  readAt: number;
  /** Of each source the failures of each minute: epoch ms and how many, oldest first. */
  failures: Record<string, [at: number, count: number][]>;
  logins: TellingLogin[];
}

const minuteMs = 60_000;
/** Together they fit into a check's memory: names of 80 characters, minutes of 20, logins of 300. */
const maximumSources = 200;
const maximumMinutes = 1_500;
const maximumLogins = 30;

/** Takes new events into the memory and forgets what is older than it matters. */
export function rememberAuth(
  before: AuthMemory,
  events: readonly AuthEvent[],
  of: { now: number; windowMs: number; successMs: number; limit: number; loginMs: number },
): AuthMemory {
  const failures = new Map(Object.entries(before.failures));
  const logins = new Map(before.logins.map((login) => [login.key, login]));
  for (const event of events) {
    if (event.is === 'failure') {
      failures.set(event.source, added(failures.get(event.source) ?? [], event));
      continue;
    }
    for (const login of tellingOf(event, failures.get(event.source) ?? [], of)) logins.set(login.key, login);
  }
  const oldest = of.now - Math.max(of.windowMs, of.successMs);
  const kept = [...failures]
    .map(([source, minutes]) => [source, minutes.filter(([at]) => at >= oldest)] as const)
    .filter(([, minutes]) => minutes.length > 0)
    .toSorted(([, a], [, b]) => sumOf(b) - sumOf(a));
  return {
    ...before,
    failures: Object.fromEntries(fitting(kept)),
    logins: [...logins.values()].filter(({ at }) => of.now - at < of.loginMs).slice(-maximumLogins),
  };
}

/** The busiest sources, as many as fit. */
function fitting<T extends readonly [string, readonly unknown[]]>(sources: readonly T[]): T[] {
  let minutes = 0;
  return sources.slice(0, maximumSources).filter((source) => (minutes += source[1].length) <= maximumMinutes);
}

function added(minutes: [number, number][], event: AuthEvent): [number, number][] {
  const minute = Math.floor(event.at / minuteMs) * minuteMs;
  const last = minutes.at(-1);
  if (last?.[0] === minute) return [...minutes.slice(0, -1), [minute, last[1] + event.count]];
  return [...minutes, [minute, event.count] as [number, number]].slice(-60);
}

/** A key opens the door without a guess, so only a login by password after failures says that a guess was right. */
function tellingOf(
  event: AuthEvent,
  minutes: readonly [number, number][],
  of: { successMs: number; limit: number },
): TellingLogin[] {
  const failures = sumOf(minutes.filter(([at]) => at >= event.at - of.successMs - minuteMs));
  const { at, source, user, service, method } = event;
  const login = { at, source, user, service, method, failures };
  return [
    ...(failures >= of.limit ? [{ ...login, is: 'after-failures' as const, key: `${source} ${user}` }] : []),
    ...(user === 'root' && method === 'password' ? [{ ...login, is: 'root' as const, key: `root ${source}` }] : []),
  ];
}

export function sumOf(minutes: readonly (readonly [number, number])[]): number {
  return minutes.reduce((sum, [, count]) => sum + count, 0);
}

export function isAuthMemory(value: unknown): value is AuthMemory {
  return (
    value !== null &&
    typeof value === 'object' &&
    'readAt' in value &&
    'failures' in value &&
    value.failures !== null &&
    typeof value.failures === 'object' &&
    'logins' in value &&
    Array.isArray(value.logins)
  );
}
