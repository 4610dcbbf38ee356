import { z } from 'zod';
import { ConfigSchema } from './schema.ts';

/** What JSON Schema says about one value, as far as it is looked at here. */
export interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  description?: string;
  [keyword: string]: unknown;
}

/** The configuration as JSON Schema (draft 2020-12), for editors: what a person writes, not what Lares makes of it. */
export function configJsonSchema(): object {
  return {
    ...(z.toJSONSchema(ConfigSchema, { target: 'draft-2020-12', io: 'input' }) as object),
    title: 'Lares configuration',
  };
}

/** The keys that may stand at a path of the configuration; none where any may. */
export function knownKeys(path: readonly (string | number)[]): string[] {
  let schema: JsonSchema | undefined = configJsonSchema() as JsonSchema;
  for (const part of path) {
    if (typeof part === 'number') schema = schema?.items;
    else schema = schema?.properties?.[part] ?? additional(schema);
  }
  return Object.keys(schema?.properties ?? {});
}

function additional(schema: JsonSchema | undefined): JsonSchema | undefined {
  return typeof schema?.additionalProperties === 'object' ? schema.additionalProperties : undefined;
}
