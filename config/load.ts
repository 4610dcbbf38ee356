import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { crossCheck, type Remark } from './cross-check.ts';
import { type ConfigDocument, readDocument } from './document.ts';
import { ConfigFailure, type ConfigFault, type ConfigPath, inOrder, plainMessage } from './fault.ts';
import { knownKeys } from './json-schema.ts';
import { withAbsolutePaths } from './paths.ts';
import { salvage } from './salvage.ts';
import { type Config, type ConfigInput, ConfigSchema } from './schema.ts';
import { suggest } from './suggest.ts';

/** A configuration that can be used: every value is valid, every name exists, its own paths are absolute. */
export interface LoadedConfig {
  config: Config;
  /** Absolute. Absent: the defaults for this machine. */
  file?: string;
  /** What relative paths were relative to. */
  baseFolder: string;
  /** Where a value stands in the file, or the nearest thing above it. */
  locate: (path: ConfigPath) => { line: number; column: number };
  /** What a person may not have meant. */
  warnings: readonly ConfigFault[];
}

/** The configuration file when none is named: $LARES_CONFIG, ./lares.yaml, /etc/lares/lares.yaml. */
export function findConfig(
  environment: NodeJS.ProcessEnv = process.env,
  folder: string = process.cwd(),
): string | undefined {
  const named = environment['LARES_CONFIG'];
  // A named file that does not exist is a fault to report, not a reason to take another.
  if (named !== undefined && named !== '') return resolve(folder, named);
  return [resolve(folder, 'lares.yaml'), '/etc/lares/lares.yaml'].find((file) => existsSync(file));
}

/**
 * Reads the configuration, or makes one that watches this machine when there is no file. Throws a ConfigFailure with
 * every fault. What the kinds of checks want of their options is for whoever knows the kinds.
 */
export async function loadConfig(file: string | undefined): Promise<LoadedConfig> {
  if (file === undefined) return loadDefaults();
  const path = resolve(file);
  return loadDocument(readDocument(path), { file: path, baseFolder: dirname(path) });
}

function loadDefaults(): LoadedConfig {
  const input: ConfigInput = { hosts: { [localName()]: { via: 'local' } } };
  const document: ConfigDocument = { value: input, locate: () => ({ line: 1, column: 1 }) };
  return loadDocument(document, { baseFolder: process.cwd() });
}

/** The host name of this machine, with nothing in it that a topic level or a name cannot hold. */
function localName(): string {
  const [name = ''] = hostname().split('.');
  const clean = name.replaceAll(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return clean === '' ? 'localhost' : clean.slice(0, 60);
}

function loadDocument(document: ConfigDocument, place: { file?: string; baseFolder: string }): LoadedConfig {
  const placeOf = (path: ConfigPath): Pick<ConfigFault, 'file' | 'line' | 'column'> => ({
    ...(place.file !== undefined && { file: place.file }),
    ...document.locate(path),
  });
  const locate = (remark: Remark): ConfigFault => ({ ...placeOf(remark.path), ...remark });
  const parsed = ConfigSchema.safeParse(document.value);
  if (!parsed.success) {
    const { issues } = parsed.error;
    const rest = salvage(document.value, issues);
    const further = rest === undefined ? [] : crossCheck(withAbsolutePaths(rest, place.baseFolder), Date.now()).faults;
    const faults = inOrder([...issues.flatMap(remarksOf), ...further].map(locate));
    throw new ConfigFailure(faults, rest && { config: rest, place: placeOf });
  }
  const config = withAbsolutePaths(parsed.data, place.baseFolder);
  const { faults, warnings } = crossCheck(config, Date.now());
  if (faults.length > 0) {
    throw new ConfigFailure(inOrder(faults.map(locate)), { config: parsed.data, place: placeOf });
  }
  return {
    config,
    ...place,
    locate: (path) => document.locate(path),
    warnings: inOrder(warnings.map(locate)),
  };
}

function remarksOf(issue: z.core.$ZodIssue): Remark[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], ...unknownKey(key, path) }));
  }
  // A key of a record that is not a name: the issue of the name is inside.
  if (issue.code === 'invalid_key') {
    return issue.issues.map((inner) => ({ path, message: `is not a name: ${inner.message}` }));
  }
  if (isSecretInline(issue)) {
    const key = String(path.at(-1));
    return [
      {
        path,
        message: 'must say where the secret is kept, not hold it',
        hint: `write ${key}: { file: ${key}.secret } and put the secret alone into that file, chmod 600`,
      },
    ];
  }
  return [{ path, message: plainMessage(issue.message) }];
}

function unknownKey(key: string, path: ConfigPath): Omit<Remark, 'path'> {
  const near = suggest(key, knownKeys(path));
  return { message: 'is not a key of this place', ...(near !== undefined && { hint: `did you mean "${near}"?` }) };
}

const secretKeys = new Set(['token', 'apiKey', 'password']);

function isSecretInline(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'invalid_type' && issue.expected === 'object' && secretKeys.has(String(issue.path.at(-1)));
}
