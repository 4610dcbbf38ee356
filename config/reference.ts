import { configJsonSchema, type JsonSchema } from './json-schema.ts';

/** The reference page of all configuration keys, printed from the schema: each key is documented once, in its code. */
export function configReference(): string {
  const lines = [
    '# Configuration reference',
    '',
    'Printed from `config/schema.ts`; a test compares it. Durations are written as `30s`, `5m`, `1h30m`. `<name>` stands for a name of',
    'your choice, `[]` for each item of a list.',
    '',
    '| key | what | default |',
    '| --- | --- | --- |',
  ];
  for (const row of referenceRows(configJsonSchema() as JsonSchema, '')) lines.push(row);
  return `${lines.join('\n')}\n`;
}

/** Every key of a schema as a row, nested keys by their path. */
export function referenceRows(schema: JsonSchema, path: string): string[] {
  const below = childrenOf(schema, path);
  // An object without words of its own is said by its keys.
  const isSilent = path === '' || (below.length > 0 && schema.description === undefined);
  const own = isSilent ? [] : [referenceRow(path, schema)];
  return [...own, ...below.flatMap(([childPath, child]) => referenceRows(child, childPath))];
}

/** One key: its name, what it is, its default. */
export function referenceRow(path: string, schema: JsonSchema): string {
  return `| \`${path}\` | ${describe(schema)} | ${preset(schema)} |`;
}

function childrenOf(schema: JsonSchema, path: string): [string, JsonSchema][] {
  const { properties = {}, additionalProperties, items } = schema;
  const children = Object.entries(properties).map(([key, child]): [string, JsonSchema] => [
    path === '' ? key : `${path}.${key}`,
    child,
  ]);
  if (typeof additionalProperties === 'object' && additionalProperties.properties !== undefined) {
    children.push([`${path}.<name>`, additionalProperties]);
  }
  if (items?.properties !== undefined) children.push([`${path}[]`, items]);
  return children;
}

function describe(schema: JsonSchema): string {
  const choices = Array.isArray(schema['enum'])
    ? schema['enum'].map((choice) => `\`${String(choice)}\``).join(', ')
    : '';
  return [schema.description ?? '', choices === '' ? '' : `One of ${choices}.`]
    .filter((part) => part !== '')
    .join(' ')
    .replaceAll('|', '\\|');
}

function preset(schema: JsonSchema): string {
  const value = schema['default'];
  if (value === undefined || value === '') return '';
  if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}
