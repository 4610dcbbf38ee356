import { DiscoveryCommon, type DiscoveryConfig } from '#config/discovery.ts';
import type { Config } from '#config/schema.ts';
import { loadPlugins, pluginKinds } from '#agents/runtime/plugins.ts';
import { type Fault, parseOptions, unknownName } from '../options.ts';
import type { SourceDefinition } from './source.ts';

/** An entry of `discovery` with its source and its parsed options. */
export interface BoundSource {
  id: string;
  config: DiscoveryConfig;
  definition: SourceDefinition;
  options: Record<string, unknown>;
}

const folder = new URL('../discovery/', import.meta.url);

/** The sources that ship: one file each. Those that nobody asks for are not loaded. */
export function loadSources(only?: ReadonlySet<string>): Promise<Map<string, SourceDefinition>> {
  return loadPlugins({
    folder,
    ...(only !== undefined && { only }),
    exportName: 'source',
    kindOf: (source: SourceDefinition) => source.source,
  });
}

interface Shipped {
  known: ReadonlyMap<string, SourceDefinition>;
  /** All names, also of those that are not loaded. */
  names: readonly string[];
}

/** The entries of a configuration bound to the sources that ship. */
export async function bindShippedSources(
  config: Pick<Config, 'discovery'>,
): Promise<{ sources: BoundSource[]; faults: Fault[] }> {
  if (config.discovery.length === 0) return { sources: [], faults: [] };
  const wanted = new Set(config.discovery.map(({ source }) => source));
  const names = await pluginKinds(folder);
  const known = await loadSources(wanted);
  return bindSources(config, { known, names });
}

/** Binds each entry of `discovery`. Contract: reports all faults at once; an entry with a fault is left out. */
export function bindSources(
  config: Pick<Config, 'discovery'>,
  shipped: Shipped,
): { sources: BoundSource[]; faults: Fault[] } {
  const faults: Fault[] = [];
  const sources: BoundSource[] = [];
  for (const [index, entry] of config.discovery.entries()) {
    const path = ['discovery', index];
    const bound = bindOne(entry, shipped, path);
    if (Array.isArray(bound)) faults.push(...bound);
    else if (sources.some(({ id }) => id === bound.id)) {
      faults.push({ path: [...path, 'id'], message: `is used twice: "${bound.id}"; give each entry an id of its own` });
    } else sources.push(bound);
  }
  return { sources, faults };
}

function bindOne(entry: DiscoveryConfig, { known, names }: Shipped, path: (string | number)[]): BoundSource | Fault[] {
  const definition = known.get(entry.source);
  if (definition === undefined) {
    return [{ path: [...path, 'source'], message: unknownName('source of discovery', entry.source, names) }];
  }
  if (entry.every < 60_000) return [{ path: [...path, 'every'], message: 'must be at least 1m' }];
  const given = { given: entry.options, common: DiscoveryCommon.shape, of: 'this source' };
  const parsed = parseOptions(definition.options, given);
  if (parsed.ok) return { id: entry.id, config: entry, definition, options: parsed.options };
  return parsed.faults.map((fault) => ({ ...fault, path: [...path, ...fault.path] }));
}
