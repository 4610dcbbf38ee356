import type { Criticality } from '#config/inventory-fields.ts';
import { CheckCommon, type CheckConfig } from '#config/check-config.ts';
import type { Config, HostConfig } from '#config/schema.ts';
import { type PlannedCheck, planChecks } from '#config/planned-checks.ts';
import { machineZone } from '#config/time-zone.ts';
import { loadPlugins, pluginKinds } from '#agents/runtime/plugins.ts';
import { gapOf } from './cadence.ts';
import type { CheckDefinition } from './check.ts';
import { type Fault, parseOptions, unknownName } from './options.ts';

/** Default interval between looks. */
const defaultEveryMs = 60_000;

/** A check of the configuration with its kind, its parsed options and its host. */
export interface BoundCheck {
  id: string;
  kind: string;
  config: CheckConfig;
  definition: CheckDefinition;
  options: Record<string, unknown>;
  host?: { name: string; config: HostConfig };
  /** How much what it looks at matters; absent when as usual. */
  criticality?: Criticality;
  /** What a finding is about when the whole look fails. */
  resource: string;
  /** Between looks; for a cron expression the longest gap of its next runs. */
  intervalMs: number;
  /** Nobody asked for it by name: where it finds nothing that it could look at, there is nothing to tell. */
  isTried: boolean;
  /** Whether the look leaves this machine, so that a dead gateway can be the reason of a bad result. */
  isRemote: boolean;
}

export type CheckKinds = ReadonlyMap<string, CheckDefinition>;

const folder = new URL('./checks/', import.meta.url);

/** The kinds that ship, one file each: those named, or all. A kind that nobody uses costs no memory. */
export function loadKinds(only?: ReadonlySet<string>): Promise<Map<string, CheckDefinition>> {
  return loadPlugins({
    folder,
    exportName: 'check',
    kindOf: (check: CheckDefinition) => check.kind,
    ...(only !== undefined && { only }),
  });
}

/** The names of the kinds that ship, without loading any. */
export function kindNames(): Promise<string[]> {
  return pluginKinds(folder);
}

interface Bound {
  checks: BoundCheck[];
  faults: Fault[];
}

/** All checks of a configuration with those of the shipped kinds that it uses. */
export async function bindShipped(config: Config): Promise<Bound> {
  const used = new Set(planChecks(config).checks.map(({ check }) => check.kind));
  return bindChecks(config, await loadKinds(used), await kindNames());
}

/**
 * Binds each planned check of a configuration to its kind. Contract: reports all faults at once; a check with a fault is
 * left out of `checks`. `known` are the names to suggest where a kind is misspelt.
 */
export function bindChecks(config: Config, kinds: CheckKinds, known: readonly string[] = [...kinds.keys()]): Bound {
  const faults: Fault[] = [];
  const checks: BoundCheck[] = [];
  for (const planned of planChecks(config).checks) {
    const bound = bindOne(planned, { config, kinds, known });
    if (Array.isArray(bound)) faults.push(...bound.map((fault) => placed(fault, planned)));
    else checks.push(bound);
  }
  return { checks, faults };
}

/** A fault of an option, below the check: where it stands in what a person wrote. */
function placed({ path: [option, ...rest], message }: Fault, planned: PlannedCheck): Fault {
  const { path, origin, check, parameterOf } = planned;
  if (origin === 'written') return { path: [...path, ...(option === undefined ? [] : [option, ...rest])], message };
  const parameter = parameterOf?.get(String(option));
  if (parameter !== undefined) return { path: [...path, parameter, ...rest], message };
  const what = option === undefined ? '' : `${[option, ...rest].join('.')} `;
  return { path: [...path], message: `makes the check "${check.id}" whose ${what}${message}` };
}

interface Binding {
  config: Config;
  kinds: CheckKinds;
  known: readonly string[];
}

/** The check, or its faults with paths below it. */
function bindOne({ check, origin }: PlannedCheck, { config, kinds, known }: Binding): BoundCheck | Fault[] {
  const definition = kinds.get(check.kind);
  if (definition === undefined) return [{ path: ['kind'], message: unknownName('kind of check', check.kind, known) }];
  const host = check.host === undefined ? undefined : config.hosts[check.host];
  const entry = { given: check.options, common: CheckCommon.shape, of: 'this kind of check' };
  const parsed = parseOptions(definition.options, entry);
  const faults = parsed.ok ? [] : parsed.faults;
  // A host that the configuration does not know is a fault of its own, told by whoever loads it.
  if (definition.reach === 'host' && check.host === undefined) {
    faults.push({ path: [], message: `needs a "host": the kind "${check.kind}" looks on a host` });
  }
  if (!parsed.ok || faults.length > 0) return faults;
  return {
    id: check.id,
    kind: check.kind,
    config: check,
    definition,
    options: parsed.options,
    ...(host !== undefined && check.host !== undefined && { host: { name: check.host, config: host } }),
    ...criticalityOf(check, config),
    resource: definition.resourceOf(parsed.options),
    intervalMs: intervalOf(check),
    isTried: origin === 'guardian' && check.guardian !== undefined,
    isRemote: isRemote(host, parsed.options),
  };
}

function criticalityOf({ service, host }: CheckConfig, { services, hosts }: Config): Pick<BoundCheck, 'criticality'> {
  const { criticality = 'normal' } = services[service ?? ''] ?? hosts[host ?? ''] ?? {};
  return criticality === 'normal' ? {} : { criticality };
}

function intervalOf({ cron, timezone = machineZone(), every }: CheckConfig): number {
  if (cron === undefined) return every ?? defaultEveryMs;
  return gapOf({ expression: cron, timezone, from: Date.UTC(2026, 0, 1) });
}

function isRemote(host: HostConfig | undefined, options: Record<string, unknown>): boolean {
  if (host?.via === 'local') return false;
  return !Object.values(options).some((value) => typeof value === 'string' && namesLoopback(value));
}

function namesLoopback(text: string): boolean {
  return /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?:[^@/]*@)?(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)(?:[:/]|$)/i.test(text);
}
