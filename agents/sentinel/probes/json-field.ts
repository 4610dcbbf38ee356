import { z } from 'zod';

/** A path into JSON as an option: `battery.percent`, `readings.0`. */
export const FieldPath = z
  .string()
  .max(200)
  .regex(/^[^.]+(?:\.[^.]+)*$/, { error: 'must be names with dots between, such as battery.percent' });

/** What stands at a path of a JSON value; undefined when nothing does. */
export function fieldOf(json: unknown, path: string): unknown {
  let field = json;
  for (const name of path.split('.')) {
    if (field === null || typeof field !== 'object' || !Object.hasOwn(field, name)) return undefined;
    field = (field as Record<string, unknown>)[name];
  }
  return field;
}

/** ISO text, seconds or milliseconds since the epoch, as epoch ms. */
export function timeIn(field: unknown): number | undefined {
  if (typeof field === 'string' && /^\d{4}-\d{2}-\d{2}/.test(field)) {
    const ms = Date.parse(field);
    return Number.isFinite(ms) ? ms : undefined;
  }
  const number = typeof field === 'string' && /^\d{9,16}(?:\.\d+)?$/.test(field) ? Number(field) : field;
  if (typeof number !== 'number' || !Number.isFinite(number) || number <= 0) return undefined;
  return number < 1e11 ? number * 1_000 : number;
}
