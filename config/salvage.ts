import type { z } from 'zod';
import type { ConfigPath } from './fault.ts';
import { type Config, ConfigSchema } from './schema.ts';

/** What is usable of a configuration with faults, so that the rest of it is looked at too. */
export interface Salvage {
  config: Config;
  /** The path in the file of a path in `config`. */
  original(path: ConfigPath): ConfigPath;
}

/** Leaves out the checks, hosts, services and sections with a fault; their names stay known. */
export function salvage(value: unknown, issues: readonly z.core.$ZodIssue[]): Salvage | undefined {
  if (!isRecord(value)) return undefined;
  const copy: Record<string, unknown> = { ...value };
  const badChecks = new Set<number>();
  for (const { path, code } of issues) {
    const [section, entry] = path;
    if (section === undefined && code === 'unrecognized_keys') continue;
    if (section === 'checks' && typeof entry === 'number') badChecks.add(entry);
    else if ((section === 'hosts' || section === 'services') && typeof entry === 'string') {
      copy[section] = { ...(copy[section] as object), [entry]: standIn(section, value) };
    } else if (typeof section === 'string') delete copy[section];
  }
  for (const key of Object.keys(copy)) if (!(key in ConfigSchema.shape)) delete copy[key];
  const checks = Array.isArray(copy['checks']) ? (copy['checks'] as unknown[]) : [];
  const kept = [...checks.keys()].filter((index) => !badChecks.has(index));
  if (Array.isArray(copy['checks'])) copy['checks'] = kept.map((index) => checks[index]);
  const parsed = ConfigSchema.safeParse(copy);
  if (!parsed.success) return undefined;
  return {
    config: parsed.data,
    original: ([section, entry, ...rest]) =>
      section === 'checks' && typeof entry === 'number'
        ? ['checks', kept[entry] ?? entry, ...rest]
        : [section, entry, ...rest].filter((part) => part !== undefined),
  };
}

/** Valid and without consequences: a place for the name alone. */
function standIn(section: 'hosts' | 'services', value: Record<string, unknown>): object {
  if (section === 'hosts') return { via: 'local' };
  return { on: Object.keys(isRecord(value['hosts']) ? value['hosts'] : {})[0] ?? 'unknown' };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
