import type { z } from 'zod';
import { CheckCommon } from './check-config.ts';
import { type Config, ConfigSchema } from './schema.ts';

type Raw = Record<string, unknown>;

/**
 * What is usable of a configuration with faults, so that the rest of it is looked at too: a check, host or service
 * with a fault is replaced by one that only keeps its name, an intake is left out, any other section has its defaults.
 * Paths stay the same.
 */
export function salvage(value: unknown, issues: readonly z.core.$ZodIssue[]): Config | undefined {
  if (!isRaw(value)) return undefined;
  const known = Object.entries(value).filter(([key]) => key in ConfigSchema.shape);
  const copy: Raw = Object.fromEntries(known);
  for (const { path } of issues) {
    const [section, entry] = path;
    if (typeof section !== 'string') continue;
    const mended = mend(copy[section], { section, entry, value });
    if (mended === undefined) delete copy[section];
    else copy[section] = mended;
  }
  const parsed = ConfigSchema.safeParse(copy);
  return parsed.success ? parsed.data : undefined;
}

/** The section with its faulty entry replaced, or undefined when it has no entries that stand alone. */
function mend(entries: unknown, at: { section: string; entry: unknown; value: Raw }): unknown {
  const { section, entry, value } = at;
  if (section === 'checks' && Array.isArray(entries) && typeof entry === 'number') {
    return entries.with(entry, standInCheck(entries[entry], entry));
  }
  if (section === 'discovery' && Array.isArray(entries) && typeof entry === 'number') {
    return entries.with(entry, { source: unreadableKind, id: `faulty-entry-${entry}` });
  }
  if (!isRaw(entries) || typeof entry !== 'string') return undefined;
  if (section === 'intake') return Object.fromEntries(Object.entries(entries).filter(([name]) => name !== entry));
  if (section === 'hosts') return { ...entries, [entry]: { ...linksOf(entries[entry], ['on']), via: 'local' } };
  return section === 'services' ? { ...entries, [entry]: standInService(value) } : undefined;
}

/** The kind of a check, or the source of a discovery, that cannot be read. */
export const unreadableKind = 'faulty';

/** Keeps the name, the links, the kind and what the kind looks at; the common keys get their defaults. */
function standInCheck(check: unknown, index: number): Raw {
  const { id, kind } = CheckCommon.shape;
  const given = isRaw(check) ? check : {};
  const own = Object.entries(given).filter(([key]) => !(key in CheckCommon.shape));
  const name = id.safeParse(given['id']);
  const sort = kind.safeParse(given['kind']);
  return {
    ...Object.fromEntries(own),
    ...linksOf(check, ['host', 'service']),
    id: name.success ? name.data : `faulty-check-${index}`,
    kind: sort.success ? sort.data : unreadableKind,
  };
}

/** The names that an entry points to, as far as they are names. */
function linksOf(entry: unknown, keys: readonly string[]): Raw {
  if (!isRaw(entry)) return {};
  const { host } = CheckCommon.shape;
  const links = keys.map((key) => [key, entry[key]] as const);
  return Object.fromEntries(links.filter(([key, name]) => key in entry && host.safeParse(name).success));
}

function standInService(value: Raw): Raw {
  const hosts = value['hosts'];
  return { on: Object.keys(isRaw(hosts) ? hosts : {})[0] ?? 'unknown' };
}

function isRaw(value: unknown): value is Raw {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
