/** A path into a JSON document: `$.alerts[*].labels['some name'][0]`. Without `..`, filters and slices of RFC 9535. */
export type JsonPath = readonly (string | number)[];

/** More values than a `*` may give. */
const maximumValues = 20_000;
const step = /\.([\p{L}_][\p{L}\p{N}_-]*|\*)|\[(?:(\d{1,9})|(\*)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/uy;

/** The steps of a path, or undefined when it is none. `$.` may be left out. */
export function parseJsonPath(text: string): JsonPath | undefined {
  const rest = text.startsWith('$') ? text.slice(1) : text.startsWith('[') ? text : `.${text}`;
  const steps: (string | number)[] = [];
  step.lastIndex = 0;
  while (step.lastIndex < rest.length) {
    const match = step.exec(rest);
    if (match === null) return undefined;
    const [, name, index, star, single, double] = match;
    if (index !== undefined) steps.push(Number(index));
    else steps.push(name ?? star ?? (single ?? double ?? '').replaceAll(/\\(.)/gs, '$1'));
  }
  return steps;
}

/** All values at a path, none when there are none. */
export function valuesAt(document: unknown, path: JsonPath): unknown[] {
  let values: unknown[] = [document];
  for (const part of path) {
    values = values.flatMap((value) => below(value, part)).slice(0, maximumValues);
  }
  return values;
}

function below(value: unknown, part: string | number): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  if (part === '*') return Object.values(value);
  if (Array.isArray(value)) return typeof part === 'number' && part < value.length ? [value[part]] : [];
  return Object.hasOwn(value, part) ? [(value as Record<string | number, unknown>)[part]] : [];
}

/** The first value at a path as text; undefined for none and for what is no plain value. */
export function textAt(document: unknown, path: JsonPath): string | undefined {
  const [value] = valuesAt(document, path);
  if (typeof value === 'string') return value === '' ? undefined : value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}
