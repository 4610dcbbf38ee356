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
  for (const row of rowsOf(configJsonSchema() as JsonSchema, '')) lines.push(row);
  return `${lines.join('\n')}\n`;
}

function rowsOf(schema: JsonSchema, path: string): string[] {
  const isContainer =
    schema.properties !== undefined ||
    schema.items?.properties !== undefined ||
    typeof schema.additionalProperties === 'object';
  const isSilent = path === '' || (isContainer && schema.description === undefined);
  const rows = isSilent ? [] : [`| \`${path}\` | ${describe(schema)} | ${preset(schema)} |`];
  for (const [key, child] of Object.entries(schema.properties ?? {}))
    rows.push(...rowsOf(child, path === '' ? key : `${path}.${key}`));
  if (typeof schema.additionalProperties === 'object' && schema.additionalProperties.properties !== undefined) {
    rows.push(...rowsOf(schema.additionalProperties, `${path}.<name>`));
  }
  if (schema.items?.properties !== undefined) rows.push(...rowsOf(schema.items, `${path}[]`));
  return rows;
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
  if (value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0))
    return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}
