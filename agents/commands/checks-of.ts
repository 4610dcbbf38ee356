import { defaultChecks } from '#config/defaults.ts';
import { ConfigFailure, type LoadedConfig } from '#config/load.ts';
import { type BoundCheck, bindChecks, type CheckKinds } from '../sentinel/registry.ts';

/** The checks of a configuration with their kinds. Throws a ConfigFailure with every fault at its line. */
export function bindLoaded(loaded: LoadedConfig, kinds: CheckKinds): BoundCheck[] {
  const { checks, faults } = bindChecks(loaded.config, kinds, defaultChecks(loaded.config));
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
