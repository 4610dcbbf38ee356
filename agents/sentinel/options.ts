import type { z } from 'zod';
import { type ConfigPath, plainMessage } from '#config/fault.ts';
import { suggest } from '#config/suggest.ts';

/** What is wrong with an entry, in the words of its kind. */
export interface Fault {
  path: ConfigPath;
  message: string;
}

type Options = { ok: true; options: Record<string, unknown> } | { ok: false; faults: Fault[] };

interface Entry {
  given: Readonly<Record<string, unknown>>;
  /** Keys that every entry may have, whatever its kind. */
  common: Readonly<Record<string, unknown>>;
  /** What it is an option of: `this kind of check`. */
  of: string;
}

/** An entry's own options by the schema of its kind, or every fault with a path below the entry. */
export function parseOptions(schema: z.ZodObject, entry: Entry): Options {
  // A misspelt key must not be dropped in silence, unless the kind itself takes any.
  const parsed = (schema.def.catchall === undefined ? schema.strict() : schema).safeParse(entry.given);
  if (parsed.success) return { ok: true, options: parsed.data };
  const known = Object.keys({ ...schema.shape, ...entry.common });
  return { ok: false, faults: parsed.error.issues.flatMap((issue) => faultsOf(issue, known, entry)) };
}

function faultsOf(issue: z.core.$ZodIssue, known: readonly string[], { given, of }: Entry): Fault[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  if (issue.code !== 'unrecognized_keys') return [{ path, message: optionMessage(issue, given) }];
  return issue.keys.map((key) => ({
    path: [...path, key],
    message: `is no option of ${of}: "${key}"${meant(key, known)}`,
  }));
}

/** A kind's own words for a wrong value do not say that there is none. */
function optionMessage({ message, path }: z.core.$ZodIssue, given: Entry['given']): string {
  const plain = plainMessage(message);
  const isMissing = path.length === 1 && !(String(path[0]) in given);
  return isMissing && !plain.startsWith('is missing') ? `is missing: ${plain}` : plain;
}

/** That a name is none of those that are known: `is no kind of check: "htp", did you mean "http"?; known are ...`. */
export function unknownName(what: string, name: string, known: readonly string[]): string {
  return `is no ${what}: "${name}"${meant(name, known)}; known are ${known.toSorted().join(', ')}`;
}

function meant(word: string, known: readonly string[]): string {
  const near = suggest(word, known);
  return near === undefined ? '' : `, did you mean "${near}"?`;
}
