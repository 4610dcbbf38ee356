const formats = new Map<string, Intl.DateTimeFormat>();

/** The wall clock of a zone: day `2026-11-20` and time `07:00`. Comparing these texts is right over DST changes. */
export function localTime(ms: number, timeZone: string): { day: string; time: string } {
  let format = formats.get(timeZone);
  if (format === undefined) {
    // `sv-SE` writes dates as ISO 8601 does.
    format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short', hourCycle: 'h23' });
    formats.set(timeZone, format);
  }
  const [day = '', time = ''] = format.format(ms).split(' ');
  return { day, time };
}

/** `2026-11-20 07:00`. */
export function dayAndTime(ms: number, timeZone: string): string {
  const { day, time } = localTime(ms, timeZone);
  return `${day} ${time}`;
}

/** Calendar arithmetic on a day text. */
export function addDays(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}
