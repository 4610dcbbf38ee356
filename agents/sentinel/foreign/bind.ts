import { plainMessage } from '#config/fault.ts';
import { type IntakeConfig, IntakeCommon } from '#config/intake-config.ts';
import type { Config } from '#config/schema.ts';
import { suggest } from '#config/suggest.ts';
import { loadPlugins, pluginKinds } from '#agents/runtime/plugins.ts';
import type { Fault } from '#agents/sentinel/registry.ts';
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
    if (bound === undefined) faults.push({ path: ['intake', name, 'kind'], message: unknownKind(intake.kind, known) });
    else if (Array.isArray(bound)) faults.push(...bound);
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

function unknownKind(kind: string, known: readonly string[]): string {
  const near = suggest(kind, known);
  const hint = near === undefined ? '' : `, did you mean "${near}"?`;
  return `is no kind of intake: "${kind}"${hint}; known are ${known.join(', ')}`;
}

function bindOne(name: string, config: IntakeConfig, definition?: IntakeDefinition): Source | Fault[] | undefined {
  if (definition === undefined) return undefined;
  const parsed = definition.options.strict().safeParse(config.options);
  if (!parsed.success) {
    const known = Object.keys({ ...definition.options.shape, ...IntakeCommon.shape });
    return parsed.error.issues.flatMap((issue): Fault[] => {
      const path = ['intake', name, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))];
      if (issue.code !== 'unrecognized_keys') return [{ path, message: plainMessage(issue.message) }];
      return issue.keys.map((key) => ({ path: [...path, key], message: unknownOption(key, known) }));
    });
  }
  const resolveAfterMs = config.resolveTimeout ?? definition.resolveAfterMs;
  return {
    name,
    kind: definition.kind,
    config,
    definition,
    options: parsed.data,
    resolveAfterMs: resolveAfterMs === 0 ? undefined : resolveAfterMs,
    severities: new Map(Object.entries(config.severities).map(([word, severity]) => [word.toLowerCase(), severity])),
  };
}

function unknownOption(key: string, known: readonly string[]): string {
  const near = suggest(key, known);
  return `is no option of this kind of intake: "${key}"${near === undefined ? '' : `, did you mean "${near}"?`}`;
}
