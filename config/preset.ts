import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { codeOf } from '#bus/failure.ts';
import { Ident } from '#bus/fields.ts';
import { readDocument } from './document.ts';
import { Duration } from './duration.ts';
import { ConfigFailure, type ConfigFault, plainMessage } from './fault.ts';
import { SecretRef } from './schema.ts';
import { suggest } from './suggest.ts';
import { WatchCommon } from './watch.ts';

/** What a value of each type of parameter must be. */
const types = {
  url: z.url({ protocol: /^[a-z]+$/, error: 'must be an address such as https://10.0.0.5:8096' }),
  text: z.string().min(1, 'must not be empty').max(2_000),
  host: z.string().min(1, 'must be a name or an address').max(255),
  port: z.number().int().min(1).max(65_535),
  number: z.number(),
  flag: z.boolean(),
  duration: Duration,
  path: z.string().min(1).max(1_000),
  secret: SecretRef,
  list: z.array(z.union([z.string().max(500), z.number()])).max(500),
} as const satisfies Record<string, z.ZodType>;

const Parameter = z.strictObject({
  type: z.enum(Object.keys(types) as [keyof typeof types]),
  about: z.string().min(1).max(400),
  optional: z.boolean().default(false),
  default: z.unknown().optional(),
});

const Suffix = z.string().regex(/^[a-z][a-z0-9-]{0,40}$/, 'must be small letters, digits and dashes');

const PresetCheck = z.looseObject({
  suffix: Suffix,
  kind: Ident,
  /** Parameters without which the check is left out. */
  needs: z.array(z.string()).default([]),
});

/** What every template may name beside the parameters: where in the inventory the preset is used. */
const placeNames: ReadonlySet<string> = new Set(['name', 'service', 'host', 'address']);

/** One product as data: what it must be told and which checks watch it. */
export const Preset = z
  .strictObject({
    preset: Ident,
    title: z.string().min(1).max(80),
    about: z.string().min(1).max(600),
    parameters: z.record(z.string().regex(/^[a-z][A-Za-z0-9]{0,40}$/), Parameter).default({}),
    checks: z.array(PresetCheck).min(1).max(50),
  })
  .superRefine(({ parameters, checks }, context) => {
    for (const [index, { needs, ...check }] of checks.entries()) {
      const names = [...needs, ...namesIn(check)];
      const stranger = names.find((name) => !(name in parameters) && !placeNames.has(name));
      if (stranger === undefined) continue;
      context.addIssue({ code: 'custom', path: ['checks', index], message: `names no parameter: "${stranger}"` });
    }
  })
  .refine(({ parameters }) => Object.keys(parameters).every((name) => !(name in WatchCommon.shape)), {
    error: 'must have no parameter with the name of a key that every use of a preset has',
  });
export type Preset = z.output<typeof Preset>;

const shipped = fileURLToPath(new URL('./presets/', import.meta.url));

/** Reads presets: those that ship and those of a person's own folder, which go first. */
export class Presets {
  readonly #folders: readonly string[];
  readonly #read = new Map<string, Preset | string>();
  readonly #folderFault: string | undefined;

  constructor(ownFolder?: string) {
    this.#folderFault = ownFolder === undefined ? undefined : faultOf(ownFolder);
    const isUsable = ownFolder !== undefined && this.#folderFault === undefined;
    this.#folders = isUsable ? [ownFolder, shipped] : [shipped];
  }

  /** Why the person's own folder cannot be used, if so. */
  get folderFault(): string | undefined {
    return this.#folderFault;
  }

  /** All names, sorted. */
  names(): string[] {
    const files = this.#folders.flatMap((folder) => readdirSync(folder));
    return [...new Set(files.filter((file) => file.endsWith('.yaml')).map((file) => file.slice(0, -5)))].toSorted();
  }

  /** The preset, or in words why there is none. */
  get(name: string): Preset | string {
    const known = this.#read.get(name) ?? this.#load(name);
    this.#read.set(name, known);
    return known;
  }

  #load(name: string): Preset | string {
    // A name with a slash in it must not become a path.
    if (!/^[\w-]+$/.test(name)) return this.#unknown(name);
    const file = this.#folders.map((folder) => join(folder, `${name}.yaml`)).find((path) => existsSync(path));
    return file === undefined ? this.#unknown(name) : readPreset(file, name);
  }

  #unknown(name: string): string {
    const near = suggest(name, this.names());
    return `there is no preset "${name}"${near === undefined ? '; lares presets lists them' : `, did you mean "${near}"?`}`;
  }
}

function faultOf(folder: string): string | undefined {
  try {
    readdirSync(folder);
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    return `is no folder that can be read: "${folder}" (${code})`;
  }
}

function readPreset(file: string, name: string): Preset | string {
  const read = documentOf(file);
  if (typeof read === 'string') return read;
  const parsed = Preset.safeParse(read.value);
  if (parsed.success) {
    return parsed.data.preset === name ? parsed.data : `the preset "${file}" calls itself "${parsed.data.preset}"`;
  }
  const { path = [], message = '' } = parsed.error.issues[0] ?? {};
  return `the preset "${file}" is wrong at ${path.join('.')}: ${plainMessage(message)}`;
}

function documentOf(file: string): { value: unknown } | string {
  try {
    return readDocument(file);
  } catch (error) {
    if (!(error instanceof ConfigFailure)) throw error;
    const { line = 1, message = error.message } = error.faults[0] ?? {};
    return `the preset "${file}" cannot be read: line ${line}: ${message}`;
  }
}

type ParameterFault = Pick<ConfigFault, 'path' | 'message' | 'hint'>;

/**
 * The values of a preset's parameters from what a person wrote, with defaults; absent optional ones are left out. Or
 * every fault, with a path below the use of the preset.
 */
export function parametersOf(
  preset: Preset,
  written: Readonly<Record<string, unknown>>,
): { values: Map<string, unknown>; faults: ParameterFault[] } {
  const faults = strangers(preset, written);
  const values = new Map<string, unknown>();
  for (const [name, parameter] of Object.entries(preset.parameters)) {
    const value = written[name] ?? parameter.default;
    if (value === undefined) {
      if (!parameter.optional) faults.push({ path: [], message: `needs ${name}: ${parameter.about}` });
      continue;
    }
    const parsed = types[parameter.type].safeParse(value);
    if (!parsed.success) faults.push({ path: [name], message: parsed.error.issues[0]?.message ?? 'is not valid' });
    else values.set(name, plain(parameter.type, value));
  }
  return { values, faults };
}

/** Durations stay as they were written: the kind's own schema reads them. */
function plain(type: keyof typeof types, value: unknown): unknown {
  return type === 'url' && typeof value === 'string' ? value.replace(/\/+$/, '') : value;
}

function strangers(preset: Preset, written: Readonly<Record<string, unknown>>): ParameterFault[] {
  const known = Object.keys(preset.parameters);
  return Object.keys(written)
    .filter((name) => !known.includes(name))
    .map((name) => {
      const near = suggest(name, [...known, ...Object.keys(WatchCommon.shape)]);
      const hint = near === undefined ? `it has ${known.join(', ') || 'none'}` : `did you mean "${near}"?`;
      return { path: [name], message: `is no parameter of the preset "${preset.preset}"`, hint };
    });
}

/**
 * Written parameters of which no check that is made takes notice, because what they need beside them is missing: whoever
 * wrote one believes that something is looked at. `without`: checks that are not wanted.
 */
export function idleParameters(
  { checks }: Preset,
  written: Readonly<Record<string, unknown>>,
  of: { values: ReadonlyMap<string, unknown>; without: readonly string[] },
): ParameterFault[] {
  const wanted = checks.filter(({ suffix }) => !of.without.includes(suffix));
  const missingOf = ({ needs }: Preset['checks'][number]): string[] => needs.filter((name) => !of.values.has(name));
  return Object.keys(written).flatMap((name) => {
    const users = wanted.filter((template) => mentions(template, name)).map(missingOf);
    const [missing] = users;
    if (missing === undefined || users.some(({ length }) => length === 0)) return [];
    return [{ path: [name], message: `does nothing without ${missing.join(' and ')}` }];
  });
}

function mentions(template: Preset['checks'][number], name: string): boolean {
  return template.needs.includes(name) || JSON.stringify(template).includes(`{${name}}`);
}

/**
 * A template with the values put in: a text that is only `{name}` becomes the value with its type, or is left out when
 * there is none; inside a longer text the value is put in as text. Braces around anything else stay.
 */
export function fillIn(template: unknown, values: ReadonlyMap<string, unknown>): unknown {
  if (typeof template === 'string') return fillText(template, values);
  if (Array.isArray(template)) {
    return template.map((item: unknown) => fillIn(item, values)).filter((item) => item !== undefined);
  }
  if (typeof template !== 'object' || template === null) return template;
  const entries = Object.entries(template).map(([key, value]) => [key, fillIn(value, values)] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

const absent = Symbol('absent');

function fillText(text: string, values: ReadonlyMap<string, unknown>): unknown {
  const name = nameIn(text);
  if (name !== undefined && values.has(name)) {
    const value = values.get(name);
    return value === absent ? undefined : value;
  }
  return text.replaceAll(/\{([a-z][A-Za-z0-9]*)\}/g, (whole, inner: string) => {
    const value = values.get(inner);
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : whole;
  });
}

/** The parameter that a value of a template is, whole. */
export function nameIn(template: unknown): string | undefined {
  return typeof template === 'string' ? /^\{([a-z][A-Za-z0-9]*)\}$/.exec(template)?.[1] : undefined;
}

/** The parameters that values of a template are, at any depth. */
function namesIn(template: unknown): string[] {
  if (typeof template !== 'object' || template === null) return [nameIn(template) ?? []].flat();
  return Object.values(template).flatMap((value) => namesIn(value));
}

/** The values with a mark for each parameter that was not given, so that `fillIn` leaves out what is only that. */
export function withAbsent(preset: Preset, values: ReadonlyMap<string, unknown>): Map<string, unknown> {
  const all = new Map<string, unknown>(Object.keys(preset.parameters).map((name) => [name, absent]));
  for (const [name, value] of values) all.set(name, value);
  return all;
}
