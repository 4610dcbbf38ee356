import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { bindShipped } from '#agents/sentinel/registry.ts';
import { ConfigSchema } from '#config/schema.ts';
import { checkContext } from './check-context.ts';

/** One use of a preset as a person writes it, on this machine, whose checks can look again and again. */
export interface PresetLook {
  /** Ids of its checks without the name of the service. */
  readonly suffixes: string[];
  look(): Promise<Observation[]>;
}

/** Binds a preset's checks as the program does; each keeps its own memory between looks. */
export async function watchPreset(use: object, context: Partial<CheckContext> = {}): Promise<PresetLook> {
  const config = ConfigSchema.parse({
    defaultChecks: false,
    hosts: { here: { via: 'local' } },
    services: { it: { on: 'here', watch: [use] } },
  });
  const { checks, faults } = await bindShipped(config);
  if (faults.length > 0) throw new Error(JSON.stringify(faults));
  const own = checks
    .filter(({ id }) => id.startsWith('it-'))
    .map((check) => ({ check, context: checkContext({ ...context }) }));
  return {
    suffixes: own.map(({ check }) => check.id.slice('it-'.length)),
    async look() {
      const found: Observation[] = [];
      for (const one of own) found.push(...(await one.check.definition.observe(one.check.options, one.context)));
      return found;
    },
  };
}
