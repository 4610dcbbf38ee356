import { createHash } from 'node:crypto';
import type { Labels } from '#bus/fields.ts';
import type { Sample } from './prometheus-api.ts';
import { oneLine } from './text.ts';

const maximumName = 180;
const maximumLabels = 40;
const maximumLabel = 500;
/** What says which thing it is comes first and without its name. */
const leading = ['instance', 'name', 'guest', 'id', 'mountpoint', 'device'];
/** The same for all series of a job, or put there for the way to people. */
const unspecific = new Set(['__name__', 'job', 'monitor', 'severity', 'prometheus', 'replica', 'cluster_replica']);

/**
 * The name of a series as a resource: stable for equal labels, different for different ones. `without`: labels that say
 * nothing here because a rule sets them.
 */
export function seriesName(labels: Readonly<Record<string, string>>, without: ReadonlySet<string> = new Set()): string {
  const names = Object.keys(labels).filter((name) => name !== '__name__' && !without.has(name));
  const specific = names.filter((name) => !unspecific.has(name));
  const shown = specific.length > 0 ? specific : names;
  const [first] = leading.filter((name) => shown.includes(name));
  const rest = shown.filter((name) => name !== first).sort();
  const parts = [
    ...(first === undefined ? [] : [labels[first] ?? '']),
    ...rest.map((name) => `${name}=${labels[name] ?? ''}`),
  ];
  const text = oneLine(parts.join(' '), 2_000);
  if (text.length <= maximumName) return text;
  const digest = createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 8);
  return `${text.slice(0, maximumName - 10).toWellFormed()}… ${digest}`;
}

/** The labels of a series that a finding can carry; names that Prometheus itself did not know before are left out. */
export function carriedLabels(labels: Readonly<Record<string, string>>, only?: readonly string[]): Labels {
  const carried: Labels = {};
  for (const [name, value] of Object.entries(labels)) {
    if (name === '__name__' || !/^[a-zA-Z_][a-zA-Z0-9_]{0,127}$/.test(name)) continue;
    if (only !== undefined && !only.includes(name)) continue;
    if (Object.keys(carried).length >= maximumLabels) break;
    carried[name] = oneLine(value, maximumLabel);
  }
  return carried;
}

/** A number as a person reads it: four digits, and no more noise. */
export function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e15)) {
    return String(Number(value.toPrecision(Math.max(4, Math.ceil(Math.log10(Math.abs(value) + 1))))));
  }
  return value.toPrecision(4);
}

/** The samples of equal resource as one, the worst by `isWorse`. */
export function worstOf(
  samples: readonly Sample[],
  nameOf: (sample: Sample) => string,
  isWorse: (a: Sample, b: Sample) => boolean,
): Map<string, Sample> {
  const worst = new Map<string, Sample>();
  for (const sample of samples) {
    const name = nameOf(sample);
    const other = worst.get(name);
    if (other === undefined || isWorse(sample, other)) worst.set(name, sample);
  }
  return worst;
}
