import type { Evidence } from '#bus/messages/finding.ts';

/** Limits of `Finding.resource`, `Line` and `Evidence.lines`, with room for a prefix. */
const resourceLength = 200;
const lineLength = 500;
const evidenceLines = 30;

// C0 and C1 controls (ANSI sequences start with one), line and paragraph separators, and the marks that turn the
// direction of what follows: none of them is visible, all of them change how the rest is shown.
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const unseen = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/g;

/** Foreign text as one bounded line of visible characters. Not escaped: whoever shows it does that. */
export function oneLine(text: string, maximum = lineLength): string {
  // Cut before the search: 10 MB of hostile text cost no more than what is kept.
  const clean = text
    .slice(0, maximum * 4)
    .replaceAll(unseen, ' ')
    .trim();
  if (clean.length <= maximum && text.length <= maximum * 4) return clean;
  return `${clean.slice(0, maximum - 1).toWellFormed()}…`;
}

/** Foreign text as the name of a resource. */
export function resourceName(text: string): string {
  return oneLine(text, resourceLength);
}

/** Evidence from foreign lines: blank ones left out, the last ones kept. None at all: no evidence. */
export function evidenceOf(kind: Evidence['kind'], title: string, lines: readonly string[]): Evidence[] {
  const clean = lines.filter((line) => line.trim() !== '');
  if (clean.length === 0) return [];
  const kept = clean.slice(-evidenceLines);
  return [
    {
      kind,
      title: oneLine(title, 120),
      lines: kept.map((line) => oneLine(line)),
      truncated: clean.length - kept.length,
    },
  ];
}

/** What a JSON text says; undefined when it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Epoch ms as ISO 8601; `-` for what is no time, as numbers of others may be. */
export function timeText(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : '-';
}

/** Bytes as a person reads them, in powers of 1024. */
export function formatBytes(bytes: number): string {
  let value = Math.abs(bytes);
  let unit = 'B';
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB', 'PiB']) {
    if (value < 1_024) break;
    value /= 1_024;
    unit = next;
  }
  const digits = value < 10 && unit !== 'B' ? 1 : 0;
  return `${bytes < 0 ? '-' : ''}${value.toFixed(digits)} ${unit}`;
}

/** `1 unit`, `3 units`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
