import { posix } from 'node:path';
import type { Parameters } from '#bus/fields.ts';
import { matchesInTime } from '#config/bounded-pattern.ts';
import type { Parameter, Playbook } from './playbook.ts';

type CheckedParameters = { ok: true; parameters: Parameters } | { ok: false; faults: string[] };

/** What the configuration adds to the bounds of the playbook. */
interface ParameterBounds {
  /** `remediation.freePaths`. */
  freePaths: readonly string[];
}

type Value = string | number | boolean;
type Checked = { ok: true; value: string | number } | { ok: false; fault: string };

/** Characters of systemd.unit(5): no slash, so it is never a path. */
const unitName = /^[A-Za-z0-9:_.\\@-]{1,240}$/;
/**
 * The sorts of unit that a playbook may name. Starting a target may switch the machine off (`poweroff.target`), and
 * mounts, slices and scopes belong to other things.
 */
const unitSorts = new Set(['service', 'socket', 'timer', 'path']);
const allSorts =
  /\.(service|socket|timer|path|target|mount|automount|swap|slice|scope|device|snapshot|network|netdev|link)$/;
const containerName = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** The values that the labels of a finding give, and the names that still have none. */
export function parametersFrom(
  playbook: Pick<Playbook, 'parameters'>,
  labels: Readonly<Record<string, string>>,
): { parameters: Parameters; missing: string[] } {
  const parameters: Parameters = {};
  const missing: string[] = [];
  for (const [name, parameter] of Object.entries(playbook.parameters)) {
    const label = parameter.from !== undefined && Object.hasOwn(labels, parameter.from) ? labels[parameter.from] : '';
    const fallback = defaultOf(parameter);
    if (label !== undefined && label !== '') parameters[name] = label;
    else if (fallback === undefined) missing.push(name);
    else parameters[name] = fallback;
  }
  return { parameters, missing };
}

/** Checks all values of a playbook and fills in defaults. What passes may stand in a command. */
export function checkParameters(
  playbook: Pick<Playbook, 'parameters'>,
  values: Readonly<Record<string, unknown>>,
  bounds: ParameterBounds = { freePaths: [] },
): CheckedParameters {
  const faults = Object.keys(values)
    .filter((name) => !Object.hasOwn(playbook.parameters, name))
    .map((name) => `"${name.slice(0, 64)}" is not a parameter of this playbook`);
  const parameters: Parameters = {};
  for (const [name, parameter] of Object.entries(playbook.parameters)) {
    const given = Object.hasOwn(values, name) ? values[name] : defaultOf(parameter);
    const checked = checkParameter(parameter, given, bounds);
    if (checked.ok) parameters[name] = checked.value;
    else faults.push(`"${name}" ${checked.fault}`);
  }
  return faults.length === 0 ? { ok: true, parameters } : { ok: false, faults };
}

function defaultOf(parameter: Parameter): Value | undefined {
  return 'default' in parameter ? parameter.default : undefined;
}

/** One value against its type. The fault starts with a verb: `must be ...`. */
export function checkParameter(parameter: Parameter, value: unknown, bounds: ParameterBounds): Checked {
  if (value === undefined) return refuse('must be given');
  if (parameter.type === 'number') return checkNumber(parameter, value);
  return typeof value === 'string' ? checkText(parameter, value, bounds) : refuse('must be a text');
}

type TextParameter = Exclude<Parameter, { type: 'number' }>;

function checkText(parameter: TextParameter, value: string, bounds: ParameterBounds): Checked {
  const fault = textFault(value);
  if (fault !== undefined) return refuse(fault);
  switch (parameter.type) {
    case 'unit':
      return checkUnit(value);
    case 'container':
      return containerName.test(value) ? { ok: true, value } : refuse('must be the name of a container');
    case 'path':
      return checkPath(parameter.under, value, bounds);
    case 'enum':
      return parameter.values.includes(value)
        ? { ok: true, value }
        : refuse(`must be one of ${parameter.values.join(', ')}`);
    case 'pattern':
      return matchesInTime(new RegExp(`^(?:${parameter.pattern})$`, 'u'), value) === true
        ? { ok: true, value }
        : refuse(`must match ${parameter.pattern}`);
  }
}

function textFault(value: string): string | undefined {
  if (value === '' || value.length > 1_000) return 'must have 1 to 1000 characters';
  if (value.startsWith('-')) return 'must not start with a dash';
  // Also what is invisible or turns the direction of writing: what a person reads must be what runs.
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(value) ? 'must not hold control or invisible characters' : undefined;
}

function refuse(fault: string): Checked {
  return { ok: false, fault };
}

function checkNumber(parameter: Extract<Parameter, { type: 'number' }>, value: unknown): Checked {
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number)) return refuse('must be a whole number');
  if (number < parameter.min || number > parameter.max) {
    return refuse(`must be from ${parameter.min} to ${parameter.max}`);
  }
  return number < 0 ? refuse('must not be negative') : { ok: true, value: number };
}

function checkUnit(value: string): Checked {
  if (!unitName.test(value)) return refuse('must be the name of a systemd unit');
  const full = fullUnitName(value);
  const sort = full.split('.').at(-1) ?? '';
  if (!unitSorts.has(sort)) return refuse(`must be a ${[...unitSorts].join(', ')} unit, not a ${sort}`);
  // A template without an instance cannot run.
  if (full.includes('@.')) return refuse('must name the instance of the template');
  return { ok: true, value: full };
}

/** systemctl takes a name without a suffix as a service; written out, so that the plan says what is meant. */
function fullUnitName(name: string): string {
  return allSorts.test(name) ? name : `${name}.service`;
}

function checkPath(under: readonly string[], value: string, bounds: ParameterBounds): Checked {
  if (!value.startsWith('/')) return refuse('must be an absolute path');
  if (value.split('/').includes('..')) return refuse('must not hold ".."');
  const path = withoutSlash(posix.normalize(value));
  const roots = under.flatMap((root) => (root === 'freePaths' ? bounds.freePaths : [root])).map(normalRoot);
  if (roots.length === 0) return refuse('is not possible: remediation.freePaths in the configuration names no folder');
  return roots.some((root) => root === '/' || path === root || path.startsWith(`${root}/`))
    ? { ok: true, value: path }
    : refuse(`must be under ${roots.join(', ')}`);
}

function normalRoot(root: string): string {
  return withoutSlash(posix.normalize(root));
}

function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
