import { type IntakeConfig, IntakeCommon } from '#config/intake-config.ts';
import type { Config } from '#config/schema.ts';
import { loadPlugins, pluginKinds } from '#agents/runtime/plugins.ts';
import { type Fault, parseOptions, unknownName } from '#agents/sentinel/options.ts';
import type { IntakeDefinition, Source } from './source.ts';

const folder = new URL('../intake/', import.meta.url);

/** The sources of a configuration with their kinds, or what is wrong with them. Loads only the kinds in use. */
export async function bindIntakes(config: Config): Promise<{ sources: Source[]; faults: Fault[] }> {
  const entries = Object.entries(config.intake);
  if (entries.length === 0) return { sources: [], faults: [] };
  const known = await pluginKinds(folder);
  const kinds = await loadPlugins({
    folder,
    exportName: 'intake',
    kindOf: (intake: IntakeDefinition) => intake.kind,
    only: new Set(entries.map(([, { kind }]) => kind)),
  });
  const sources: Source[] = [];
  const faults: Fault[] = [];
  for (const [name, intake] of entries) {
    const bound = bindOne(name, intake, kinds.get(intake.kind));
    if (bound === undefined) {
      faults.push({ path: ['intake', name, 'kind'], message: unknownName('kind of intake', intake.kind, known) });
    } else if (Array.isArray(bound)) faults.push(...bound);
    else if (isHomeless(bound, config)) faults.push({ path: ['intake', name], message: homeless });
    else sources.push(bound);
  }
  return { sources, faults };
}

const homeless = 'needs a "url": the broker inside Lares has no other clients';

function isHomeless({ definition, options }: Source, config: Config): boolean {
  const wanted = definition.subscription?.(options);
  return wanted !== undefined && wanted.broker === undefined && config.bus.url === undefined;
}

function bindOne(name: string, config: IntakeConfig, definition?: IntakeDefinition): Source | Fault[] | undefined {
  if (definition === undefined) return undefined;
  const entry = { given: config.options, common: IntakeCommon.shape, of: 'this kind of intake' };
  const parsed = parseOptions(definition.options, entry);
  if (!parsed.ok) return parsed.faults.map((fault) => ({ ...fault, path: ['intake', name, ...fault.path] }));
  const resolveAfterMs = config.resolveTimeout ?? definition.resolveAfterMs;
  return {
    name,
    kind: definition.kind,
    config,
    definition,
    options: parsed.options,
    resolveAfterMs: resolveAfterMs === 0 ? undefined : resolveAfterMs,
    severities: new Map(Object.entries(config.severities).map(([word, severity]) => [word.toLowerCase(), severity])),
  };
}
