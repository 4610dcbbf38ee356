import { ConfigFailure, type ConfigPath, inOrder } from '#config/fault.ts';
import { loadConfig, type LoadedConfig } from '#config/load.ts';
import { unreadableKind } from '#config/salvage.ts';
import type { Config } from '#config/schema.ts';
import { bindIntakes } from '../sentinel/foreign/bind.ts';
import { bindShippedSources } from '../sentinel/inventory/registry.ts';
import type { Fault } from '../sentinel/options.ts';
import { type BoundCheck, bindShipped } from '../sentinel/registry.ts';

/** The checks of a configuration with their kinds. Throws a ConfigFailure with every fault at its line. */
export async function bindLoaded(loaded: LoadedConfig): Promise<BoundCheck[]> {
  const { checks, faults } = await bindAll(loaded.config);
  if (faults.length === 0) return checks;
  throw new ConfigFailure(
    faults.map((fault) => ({
      file: loaded.file ?? 'built-in defaults',
      ...loaded.locate(fault.path),
      path: fault.path,
      message: fault.message,
    })),
  );
}

/** What only the kinds know of the options of checks, of what tells the inventory and of who may report. */
async function bindAll(config: Config): Promise<{ checks: BoundCheck[]; faults: Fault[] }> {
  const { checks, faults } = await bindShipped(config);
  const sources = await bindShippedSources(config);
  const intakes = await bindIntakes(config);
  return { checks, faults: [...faults, ...sources.faults, ...intakes.faults] };
}

/** `loadConfig` that adds the faults of the checks' own options, which only their kinds know: all are told at once. */
export async function loadWithKinds(file: string | undefined): Promise<LoadedConfig> {
  try {
    return await loadConfig(file);
  } catch (error) {
    if (!(error instanceof ConfigFailure) || error.usable === undefined) throw error;
    const { config, place } = error.usable;
    const { faults } = await bindAll(config);
    const further = faults
      .filter(({ path }) => !isStandIn(config, path))
      .map((fault) => ({ ...place(fault.path), ...fault }));
    throw new ConfigFailure(inOrder([...error.faults, ...further]));
  }
}

/** What stands in for something unreadable has no faults of its own. */
function isStandIn({ checks, discovery }: Config, [section, index]: ConfigPath): boolean {
  if (section === 'checks') return checks[Number(index)]?.kind === unreadableKind;
  return section === 'discovery' && discovery[Number(index)]?.source === unreadableKind;
}
