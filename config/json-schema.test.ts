import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadConfig } from './load.ts';
import { configJsonSchema, type JsonSchema, knownKeys } from './json-schema.ts';

test('describes what a person writes: durations as text, nothing required that has a default', () => {
  const schema = configJsonSchema() as JsonSchema;
  expect(schema['$schema']).toBe('https://json-schema.org/draft/2020-12/schema');
  expect(schema.properties?.['triage']?.properties?.['groupWait']).toMatchObject({ type: 'string', default: '30s' });
  expect(schema['required'] ?? []).toEqual([]);
  expect(schema.additionalProperties).toBe(false);
  expect(schema.properties?.['checks']?.items?.['required']).toEqual(['id', 'kind']);
});

test('every key has its one description', () => {
  const missing: string[] = [];
  const visit = (schema: JsonSchema, path: string): void => {
    for (const [key, value] of Object.entries(schema.properties ?? {})) {
      const at = `${path}.${key}`;
      const isSection =
        value.properties !== undefined ||
        value.items?.properties !== undefined ||
        typeof value.additionalProperties === 'object';
      if (value.description === undefined && !isSection) missing.push(at);
      visit(value, at);
    }
    if (schema.items !== undefined) visit(schema.items, `${path}[]`);
    if (typeof schema.additionalProperties === 'object') visit(schema.additionalProperties, `${path}.*`);
  };
  visit(configJsonSchema() as JsonSchema, '');
  expect(missing).toEqual([]);
});

test('knows the keys of any place', () => {
  expect(knownKeys([])).toContain('hosts');
  expect(knownKeys(['hosts', 'web'])).toContain('hostKeys');
  expect(knownKeys(['llm', 'providers', 3])).toContain('apiKey');
  expect(knownKeys(['no', 'such', 'place'])).toEqual([]);
});

test('the examples are valid and hold no warning', async () => {
  const folder = new URL('./examples/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  expect(files).toEqual(expect.arrayContaining(['home.yaml', 'minimal.yaml']));
  for (const file of files) {
    const { warnings } = await loadConfig(new URL(file, folder).pathname);
    expect(warnings).toEqual([]);
  }
});
