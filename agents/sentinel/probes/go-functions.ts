import { type GoMap, goPrintf, goText, type GoValue, significant, sortedEntries, TemplateFault } from './go-format.ts';
import { goMatches, goReplaceAll } from './go-regexp.ts';
import { parsePrometheusDuration } from './prometheus-duration.ts';

type GoFunction = (...values: GoValue[]) => GoValue;

/** Prometheus' conversion: numbers, and texts that hold one. */
function toFloat(value: GoValue): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  if (Number.isNaN(number) && value !== 'NaN') throw new TemplateFault(`"${goText(value)}" is no number`);
  return number;
}

function toText(value: GoValue): string {
  if (typeof value !== 'string') throw new TemplateFault(`${goText(value)} is no text`);
  return value;
}

export function isTrue(value: GoValue): boolean {
  if (value === undefined) return false;
  if (value instanceof Map) return value.size > 0;
  if (Array.isArray(value)) return value.length > 0;
  return typeof value === 'bigint' ? value !== 0n : Boolean(value) || Number.isNaN(value);
}

const smallPrefixes = ['m', 'u', 'n', 'p', 'f', 'a', 'z', 'y'];

/** Divides by `step` until it is short; values below 1 are multiplied by 1000. */
function scaled(value: number, of: { step: number; prefixes: readonly string[]; small: boolean }): [number, string] {
  let left = value;
  let prefix = '';
  if (Math.abs(value) >= 1) {
    for (const next of of.prefixes) {
      if (Math.abs(left) < of.step) break;
      prefix = next;
      left /= of.step;
    }
  } else if (of.small) {
    for (const next of smallPrefixes) {
      if (Math.abs(left) >= 1) break;
      prefix = next;
      left *= 1_000;
    }
  }
  return [left, prefix];
}

function humanize(value: GoValue): string {
  const number = toFloat(value);
  if (number === 0 || !Number.isFinite(number)) return significant(number, 4);
  const [left, prefix] = scaled(number, {
    step: 1_000,
    prefixes: ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'],
    small: true,
  });
  return significant(left, 4) + prefix;
}

function humanize1024(value: GoValue): string {
  const number = toFloat(value);
  if (Math.abs(number) <= 1 || !Number.isFinite(number)) return significant(number, 4);
  const prefixes = ['ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi'];
  const [left, prefix] = scaled(number, { step: 1_024, prefixes, small: false });
  return significant(left, 4) + prefix;
}

function humanizeDuration(value: GoValue): string {
  const number = toFloat(value);
  if (!Number.isFinite(number)) return significant(number, 4);
  if (number === 0) return '0s';
  if (Math.abs(number) < 1) {
    const [left, prefix] = scaled(number, { step: 1_000, prefixes: [], small: true });
    return `${significant(left, 4)}${prefix}s`;
  }
  const sign = number < 0 ? '-' : '';
  const whole = Math.trunc(Math.abs(number));
  const seconds = whole % 60;
  const minutes = Math.trunc(whole / 60) % 60;
  const hours = Math.trunc(whole / 3_600) % 24;
  const days = Math.trunc(whole / 86_400);
  if (days !== 0) return `${sign}${days}d ${hours}h ${minutes}m ${seconds}s`;
  if (hours !== 0) return `${sign}${hours}h ${minutes}m ${seconds}s`;
  if (minutes !== 0) return `${sign}${minutes}m ${seconds}s`;
  return `${sign}${significant(Math.abs(number), 4)}s`;
}

function timeOf(value: GoValue): Date {
  const at = new Date(Math.trunc(toFloat(value) * 1_000));
  if (Number.isNaN(at.getTime())) throw new TemplateFault(`${goText(value)} is no time`);
  return at;
}

/** In seconds. */
function parseDuration(value: GoValue): number {
  const text = toText(value);
  const ms = parsePrometheusDuration(text);
  if (ms === undefined) throw new TemplateFault(`"${text}" is no duration`);
  return ms / 1_000;
}

/** Go compares only what is alike; whoever writes `gt $value 10` means it all the same. */
function compare(a: GoValue, b: GoValue): number {
  if (isNumber(a) && isNumber(b)) return Number(a) < Number(b) ? -1 : Number(a) > Number(b) ? 1 : 0;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  throw new TemplateFault(`cannot compare ${goText(a)} and ${goText(b)}`);
}

function isNumber(value: GoValue): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

function isEqual(a: GoValue, b: GoValue): boolean {
  if (typeof a === 'boolean' && typeof b === 'boolean') return a === b;
  if (Number.isNaN(a) || Number.isNaN(b)) return false;
  return compare(a, b) === 0;
}

function indexed(value: GoValue, ...keys: GoValue[]): GoValue {
  let found = value;
  for (const key of keys) {
    if (found instanceof Map) found = (found as GoMap).get(toText(key)) ?? '';
    else if (Array.isArray(found) && typeof key === 'bigint' && key >= 0n && key < BigInt(found.length)) {
      found = (found as readonly GoValue[])[Number(key)];
    } else throw new TemplateFault(`cannot index ${goText(value)} with ${goText(key)}`);
  }
  return found;
}

function lengthOf(value: GoValue): bigint {
  if (typeof value === 'string') return BigInt(Buffer.byteLength(value));
  if (value instanceof Map) return BigInt(value.size);
  if (Array.isArray(value)) return BigInt(value.length);
  throw new TemplateFault(`${goText(value)} has no length`);
}

function stripPort(value: GoValue): string {
  const text = toText(value);
  const bracketed = /^\[([^\]]*)\]:[^:]*$/.exec(text);
  if (bracketed !== null) return bracketed[1] ?? '';
  return /^[^:]*:[^:]*$/.test(text) ? text.slice(0, text.indexOf(':')) : text;
}

function stripDomain(value: GoValue): string {
  const text = toText(value);
  const [, host = text, port = ''] = /^([^:]*)(:[^:]*)?$/.exec(text) ?? [];
  return /^\d+(?:\.\d+){3}$/.test(host) || host.includes('[') ? text : `${host.split('.')[0] ?? ''}${port}`;
}

/** Go sets a blank between two values of which none is a text. */
function sprint(...values: GoValue[]): string {
  return values.reduce<string>((text, value, index) => {
    const isApart = index > 0 && typeof value !== 'string' && typeof values[index - 1] !== 'string';
    return `${text}${isApart ? ' ' : ''}${goText(value)}`;
  }, '');
}

/** The functions of Prometheus' templates and Go's own, but for those that ask the server: `query` and what it needs. */
export const goFunctions: Readonly<Record<string, GoFunction>> = {
  humanize,
  humanize1024,
  humanizeDuration,
  humanizePercentage: (value) => `${significant(toFloat(value) * 100, 4)}%`,
  humanizeTimestamp: (value) =>
    Number.isFinite(toFloat(value)) ? goText(timeOf(value)) : significant(toFloat(value), 4),
  toTime: timeOf,
  title: (value) => toText(value).replaceAll(/(^|[^\p{L}\p{N}_'])(\p{Ll})/gu, (all) => all.toUpperCase()),
  toUpper: (value) => toText(value).toUpperCase(),
  toLower: (value) => toText(value).toLowerCase(),
  match: (pattern, value) => goMatches(toText(pattern), toText(value)),
  reReplaceAll: (pattern, replacement, value) => goReplaceAll(toText(pattern), toText(replacement), toText(value)),
  parseDuration,
  stripPort,
  stripDomain,
  safeHtml: (value) => value,
  printf: (format, ...values) => goPrintf(toText(format), values),
  print: sprint,
  println: (...values) => `${values.map(goText).join(' ')}\n`,
  len: lengthOf,
  index: indexed,
  not: (value) => !isTrue(value),
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  eq: (value, ...others) => others.some((other) => isEqual(value, other)),
  ne: (a, b) => !isEqual(a, b),
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
  args: (...values) => new Map(values.map((value, index) => [`arg${index}`, value])),
  urlquery: (...values) => encodeURIComponent(values.map(goText).join('')).replaceAll('%20', '+'),
};

/** The pairs that `range` visits. */
export function rangeOf(value: GoValue): [GoValue, GoValue][] {
  if (value instanceof Map) return sortedEntries(value as GoMap);
  if (Array.isArray(value)) return (value as readonly GoValue[]).map((item, index) => [BigInt(index), item]);
  if (value === undefined) return [];
  throw new TemplateFault(`cannot range over ${goText(value)}`);
}
