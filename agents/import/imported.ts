import { inventoryName } from '#config/plain-name.ts';

/** A check as a person would write it. */
interface WrittenCheck {
  id: string;
  kind: string;
  [option: string]: unknown;
}

export interface CarriedOver {
  /** What it was called where it comes from. */
  entry: string;
  check: WrittenCheck;
  /** What of the entry is otherwise here. */
  notes: string[];
}

/** A secret that stood in the foreign file; here it is kept in a file of its own. */
export interface FoundSecret {
  /** Relative to the configuration. */
  file: string;
  value: string;
  /** What it is for, without the value. */
  about: string;
}

/** What became of a foreign configuration. Contract: each of its entries is in `carried` or in `left`. */
export interface Imported {
  carried: CarriedOver[];
  left: { entry: string; why: string }[];
  secrets: FoundSecret[];
}

export type Members = Record<string, unknown>;

/** One entry on its way: what it becomes, and what is lost. A `why` gives it up. */
export type Converted = { check: Omit<WrittenCheck, 'id'>; notes: string[] } | { why: string };

/** Collects the converted entries under names of their own. */
export class Importing {
  readonly result: Imported = { carried: [], left: [], secrets: [] };
  readonly #ids = new Set<string>();

  /** A name that no other check of this import has. */
  idFor(entry: string): string {
    const plain = (inventoryName(entry) ?? 'check').toLowerCase().slice(0, 80);
    let id = plain;
    for (let number = 2; this.#ids.has(id); number += 1) id = `${plain}-${number}`;
    this.#ids.add(id);
    return id;
  }

  take(entry: string, id: string, converted: Converted): void {
    if ('why' in converted) this.leave(entry, converted.why);
    else {
      const { check, notes } = converted;
      this.result.carried.push({ entry, check: { id, ...check } as WrittenCheck, notes });
    }
  }

  leave(entry: string, why: string): void {
    this.result.left.push({ entry, why });
  }

  /** Where the secret will be kept. */
  secret(id: string, of: { part: string; value: string; about: string }): { file: string } {
    const file = `secrets/${id}-${(inventoryName(of.part) ?? 'secret').toLowerCase()}`;
    this.result.secrets.push({ file, value: of.value, about: of.about });
    return { file };
  }
}

/** Headers that say nothing that must be kept. Whatever else is sent may be a key. */
const harmless = new Set(['accept', 'accept-language', 'content-type', 'user-agent', 'host', 'cache-control']);

/** The header keys of an `http` check: what may be a secret goes to a file. */
export function headersOf(importing: Importing, id: string, headers: Members): Members {
  const plain: Record<string, string> = {};
  const kept: Record<string, { file: string }> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== 'string' && typeof value !== 'number') continue;
    if (harmless.has(name.toLowerCase())) plain[name] = String(value);
    else kept[name] = importing.secret(id, { part: name, value: String(value), about: `header ${name} of "${id}"` });
  }
  return {
    ...(Object.keys(plain).length > 0 && { headers: plain }),
    ...(Object.keys(kept).length > 0 && { headersFrom: kept }),
  };
}

export function members(value: unknown): Members {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Members) : {};
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A plain value as text; nothing for what is none. */
export function wordOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

/** A number, also where it is written as text. */
export function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

/** A text as a regular expression for just that text. */
export function literal(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);
}

/** What a text that was compared as text may be in JSON. */
export function jsonValues(text: string): Members {
  const typed = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?)$/.test(text)
    ? (JSON.parse(text) as unknown)
    : undefined;
  return typed === undefined ? { equals: text } : { oneOf: [typed, text] };
}

/** `data.items[0].state`, as the path of a JSON rule; undefined for what is more than a path. */
export function plainPath(text: string): string | undefined {
  const path = text.trim().replace(/^\$?\.?/, '');
  return /^(?:[\w-]+|\[\d+\])(?:\.[\w-]+|\[\d+\])*$/.test(path) ? path : undefined;
}
