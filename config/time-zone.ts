/** Whether it is an IANA time zone that this Node knows. */
export function isTimeZone(zone: string | undefined): zone is string {
  if (zone === undefined || zone === '') return false;
  try {
    return Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

let ownZone: string | undefined;

/** The zone of this machine, as it was at the first question. */
export function machineZone(): string {
  ownZone ??= zoneToldAs(Intl.DateTimeFormat().resolvedOptions().timeZone);
  return ownZone;
}

/**
 * What to take for the zone that Node tells of this machine. With `TZ` empty or misspelt that is `Etc/Unknown` or nothing,
 * neither of which it takes back: then it is UTC, as for the C library.
 */
export function zoneToldAs(zone: string | undefined): string {
  return isTimeZone(zone) ? zone : 'UTC';
}

/** A change of a zone's offset from UTC, as daylight saving makes two of a year. */
export interface ZoneTransition {
  /** The first instant with the new offset, epoch ms. */
  at: number;
  /** Milliseconds east of UTC before it. */
  beforeMs: number;
  afterMs: number;
}

const dayMs = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();

/** How far a zone is ahead of UTC at an instant, in milliseconds. */
export function offsetAt(timezone: string, instantMs: number): number {
  if (timezone === 'UTC') return 0;
  const second = Math.floor(instantMs / 1_000) * 1_000;
  const parts = Object.fromEntries(
    formatOf(timezone)
      .formatToParts(second)
      .map((part) => [part.type, Number(part.value)]),
  );
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second: seconds = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, seconds) - second;
}

/** Changes of the offset in (from, to], in order. Steps of a day: no zone changes twice within one. */
export function transitionsBetween(timezone: string, fromMs: number, toMs: number): ZoneTransition[] {
  if (timezone === 'UTC') return [];
  const found: ZoneTransition[] = [];
  let offset = offsetAt(timezone, fromMs);
  for (let at = fromMs; at < toMs; at += dayMs) {
    const end = Math.min(at + dayMs, toMs);
    const next = offsetAt(timezone, end);
    if (next === offset) continue;
    found.push({ at: firstWith(timezone, at, end), beforeMs: offset, afterMs: next });
    offset = next;
  }
  return found;
}

/** Bisects to the second at which the offset at `end` begins. */
function firstWith(timezone: string, start: number, end: number): number {
  const wanted = offsetAt(timezone, end);
  let low = Math.floor(start / 1_000);
  let high = Math.ceil(end / 1_000);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(timezone, middle * 1_000) === wanted) high = middle;
    else low = middle;
  }
  return high * 1_000;
}

function formatOf(timezone: string): Intl.DateTimeFormat {
  const known = formats.get(timezone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    calendar: 'gregory',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(timezone, format);
  return format;
}
