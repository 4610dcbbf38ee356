import { z } from 'zod';

const unitMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const pattern = /^(?:\d+(?:ms|s|m|h|d|w))+$/;

/** `90s`, `1h30m`, `2d` to milliseconds. */
export function parseDuration(text: string): number | undefined {
  if (!pattern.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|s|m|h|d|w)/g))
    total += Number(amount) * (unitMs[unit ?? ''] ?? 0);
  return Number.isSafeInteger(total) ? total : undefined;
}

/** Milliseconds as a person writes them: `1h30m`. */
export function formatDuration(ms: number): string {
  let left = Math.max(0, Math.round(ms));
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const size = unitMs[unit] ?? 1;
    const amount = Math.floor(left / size);
    if (amount > 0) text += `${amount}${unit}`;
    left -= amount * size;
  }
  return text === '' ? '0s' : text;
}

const wanted = { error: 'must be a duration such as 30s, 5m, 2h or 1h30m' };

/** A duration in the configuration; epoch-free milliseconds inside. */
export const Duration = z.codec(
  z.string(wanted).refine((text) => parseDuration(text) !== undefined, wanted),
  z.number().int().nonnegative(),
  { decode: (text) => parseDuration(text) ?? 0, encode: formatDuration },
);

/** A duration with a default, itself written as a duration. */
export function durationOr(text: string) {
  return Duration.prefault(text);
}
