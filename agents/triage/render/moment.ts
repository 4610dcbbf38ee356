const momentFormat: Intl.DateTimeFormatOptions = {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  timeZoneName: 'short',
};
const moments = new Map<string | undefined, Intl.DateTimeFormat>();

/** `20 Nov 2026, 03:00 CET`; with no zone the one of this machine. */
export function moment(ms: number, timeZone: string | undefined): string {
  // Making a format takes far longer than using it.
  const format = moments.get(timeZone) ?? new Intl.DateTimeFormat('en-GB', { ...momentFormat, timeZone });
  moments.set(timeZone, format);
  return format.format(ms);
}

/** `03:00:12`. */
export function timeOfDay(ms: number, timeZone: string | undefined): string {
  return new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone }).format(ms);
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** The two largest units: `2 h 5 min`. */
export function span(ms: number): string {
  let left = Math.max(0, ms);
  const parts: string[] = [];
  for (const [unit, size] of units) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(' ') || '0 s';
}
