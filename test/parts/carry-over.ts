import { loadKinds } from '#agents/sentinel/registry.ts';
import { acceptable, convert, type Foreign } from '../../agents/import/convert.ts';

/** All that ship. */
export const kinds = await loadKinds();

/** What becomes of a foreign configuration, by the names of its entries. */
export function carry(format: Foreign['format'], value: unknown, more: Partial<Foreign> = {}) {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const imported = convert({ format, text, file: 'rules.yml', ...more });
  if (imported === undefined) throw new Error('not of the format');
  const checks = Object.fromEntries(imported.carried.map(({ entry, check }) => [entry, check]));
  const left = Object.fromEntries(imported.left.map(({ entry, why }) => [entry, why]));
  return { imported, checks, left, accepted: acceptable(imported, kinds) };
}
