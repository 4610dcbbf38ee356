import { Check, type CheckConfig } from './check-config.ts';
import { defaultChecks } from './defaults.ts';
import type { ConfigFault, ConfigPath } from './fault.ts';
import { type Guardian, shippedGuardians } from './guardian.ts';
import { fillIn, idleParameters, nameIn, parametersOf, type Preset, Presets, withAbsent } from './preset.ts';
import type { Config } from './schema.ts';
import { suggest } from './suggest.ts';
import { machineZone } from './time-zone.ts';
import type { WatchConfig } from './watch.ts';

type Remark = Pick<ConfigFault, 'path' | 'message' | 'hint'>;

/** A check that will be looked at, and where a person can change it. */
export interface PlannedCheck {
  check: CheckConfig;
  /** Of the check itself, or of the use of the preset that it comes from. */
  path: ConfigPath;
  origin: 'written' | 'preset' | 'guardian' | 'default';
  /** For a check of a preset: which parameter an option was taken from. */
  parameterOf?: ReadonlyMap<string, string>;
}

interface CheckPlan {
  checks: PlannedCheck[];
  faults: Remark[];
}

/**
 * All checks of a configuration: those a person wrote, those of presets, of guardians, and the ones that fit any
 * machine. Contract: of several with one id the first in this order stays; a check with a `guardian` and no timing of
 * its own has the guardian's; the checks of a guardian that is switched off are left out.
 */
export function planChecks(config: Config): CheckPlan {
  const plan = plans.get(config) ?? makePlan(config);
  plans.set(config, plan);
  return plan;
}

/** Whoever loads a configuration and whoever binds its checks ask for the same plan; presets are read once. */
const plans = new WeakMap<Config, CheckPlan>();

function makePlan(config: Config): CheckPlan {
  const plan: CheckPlan = { checks: [], faults: [] };
  for (const [index, check] of config.checks.entries()) {
    plan.checks.push({ check, path: ['checks', index], origin: 'written' });
  }
  planPresets(config, plan);
  const guardians = needsGuardians(config, plan) ? shippedGuardians() : new Map<string, Guardian>();
  planGuardians(config, guardians, plan);
  const chosen = plan.checks.map(({ check }) => check);
  for (const check of defaultChecks(config, chosen)) {
    plan.checks.push({ check, path: ['defaultChecks'], origin: 'default' });
  }
  const checks = scheduled(firstOfEach(plan), { config, guardians, plan });
  return { checks: [...checks, ...watchersOf(checks)], faults: plan.faults };
}

function needsGuardians(config: Config, plan: CheckPlan): boolean {
  return config.defaultChecks || plan.checks.some(({ check }) => check.guardian !== undefined);
}

function firstOfEach(plan: CheckPlan): PlannedCheck[] {
  const byId = new Map<string, PlannedCheck>();
  for (const planned of plan.checks) {
    const first = byId.get(planned.check.id);
    if (first === undefined) byId.set(planned.check.id, planned);
    else if (planned.origin === 'preset' && first.origin === 'preset') {
      plan.faults.push({
        path: planned.path,
        message: `makes a second check "${planned.check.id}"`,
        hint: 'give this use a name of its own, as in "as: second"',
      });
    }
  }
  // Two that a person wrote are a fault of their own (config/cross-check.ts); both stay, so that what else is wrong is told with it.
  return plan.checks.filter((planned) => planned.origin === 'written' || byId.get(planned.check.id) === planned);
}

function planPresets(config: Config, plan: CheckPlan): void {
  const presets = new Presets(config.presets);
  const makers = new Map<string, string>();
  if (presets.folderFault !== undefined) plan.faults.push({ path: ['presets'], message: presets.folderFault });
  for (const [name, { watch, address }] of Object.entries(config.hosts)) {
    const place: Place = { name, host: name, address: address ?? name };
    for (const [index, use] of watch.entries()) {
      planUse(use, { place, path: ['hosts', name, 'watch', index], presets, makers, plan });
    }
  }
  for (const [name, { watch, on }] of Object.entries(config.services)) {
    const place: Place = { name, service: name, host: on, address: config.hosts[on]?.address ?? on };
    for (const [index, use] of watch.entries()) {
      planUse(use, { place, path: ['services', name, 'watch', index], presets, makers, plan });
    }
  }
}

/** Where in the inventory a preset is used. */
interface Place {
  name: string;
  service?: string;
  host: string;
  address: string;
}

interface Use {
  place: Place;
  path: ConfigPath;
  presets: Presets;
  /** Which preset made the check of an id. */
  makers: Map<string, string>;
  plan: CheckPlan;
}

function planUse(use: WatchConfig, { place, path, presets, makers, plan }: Use): void {
  const preset = presets.get(use.preset);
  if (typeof preset === 'string') {
    plan.faults.push({ path: [...path, 'preset'], message: preset });
    return;
  }
  const { values, faults } = parametersOf(preset, use.parameters);
  const idle = faults.length > 0 ? [] : idleParameters(preset, use.parameters, { values, without: use.without });
  plan.faults.push(
    ...[...faults, ...idle].map((fault) => ({ ...fault, path: [...path, ...fault.path] })),
    ...withoutFaults(preset, use, path),
  );
  if (faults.length > 0) return;
  const templates = preset.checks.filter(
    ({ suffix, needs }) => !use.without.includes(suffix) && needs.every((name) => values.has(name)),
  );
  const name = nameOfUse(use, { place, templates, makers });
  for (const template of templates) {
    const made = makeCheck(template, { preset, use, values, place: { ...place, name } });
    if ('fault' in made) plan.faults.push({ path, message: `preset "${preset.preset}": ${made.fault}` });
    else {
      makers.set(made.check.id, use.preset);
      plan.checks.push({ ...made, path, origin: 'preset' });
    }
  }
}

/**
 * What the ids of its checks begin with. Two presets on one place that both have a check `web` are told apart by the name
 * of the second; one preset that is used twice only by a person.
 */
function nameOfUse(
  { as, preset }: WatchConfig,
  { place, templates, makers }: Pick<Use, 'place' | 'makers'> & { templates: Preset['checks'] },
): string {
  if (as !== undefined) return `${place.name}-${as}`;
  const others = templates.map(({ suffix }) => makers.get(`${place.name}-${suffix}`));
  const isFree = others.every((other) => other === undefined);
  return isFree || others.includes(preset) ? place.name : `${place.name}-${preset}`;
}

function withoutFaults(preset: Preset, use: WatchConfig, path: ConfigPath): Remark[] {
  const suffixes = preset.checks.map(({ suffix }) => suffix);
  return use.without
    .filter((suffix) => !suffixes.includes(suffix))
    .map((suffix) => ({
      path: [...path, 'without'],
      message: `names no check of the preset: "${suffix}"`,
      hint: `it has ${suffixes.join(', ')}`,
    }));
}

interface Making {
  preset: Preset;
  use: WatchConfig;
  values: ReadonlyMap<string, unknown>;
  place: Place;
}

function makeCheck(
  template: Preset['checks'][number],
  { preset, use, values, place }: Making,
): { check: CheckConfig; parameterOf: ReadonlyMap<string, string> } | { fault: string } {
  const { suffix, needs: _needs, ...written } = template;
  const all = withAbsent(preset, values);
  // What a person gave goes before what the place says: a preset may have a parameter `address` of its own.
  for (const [name, value] of Object.entries(place)) if (!values.has(name)) all.set(name, value);
  const filled = fillIn(written, all) as Record<string, unknown>;
  const { severity, labels, dependsOn } = use;
  const made = Check.safeParse({
    ...filled,
    id: `${place.name}-${suffix}`,
    host: place.host,
    ...(place.service !== undefined && { service: place.service }),
    ...(severity !== undefined && { severity }),
    labels: { ...(filled['labels'] as object | undefined), ...labels },
    dependsOn: [...((filled['dependsOn'] as string[] | undefined) ?? []), ...dependsOn],
  });
  if (!made.success) return { fault: `${suffix}: ${made.error.issues[0]?.message ?? 'is not valid'}` };
  const parameterOf = new Map(
    Object.entries(written).flatMap(([option, value]) => {
      const parameter = nameIn(value);
      return parameter === undefined || !(parameter in preset.parameters) ? [] : [[option, parameter] as const];
    }),
  );
  const check = paced(made.data, use);
  return { check, parameterOf };
}

/** The check with the times of its use, which are parsed already: the schema would read them as text. */
function paced(check: CheckConfig, { every, for: hold }: WatchConfig): CheckConfig {
  // What belongs into the round of a guardian is rare for a reason, whatever pace the rest has.
  const isOfRound = check.guardian !== undefined && check.every === undefined;
  const pace = every === undefined || isOfRound ? {} : { every };
  return { ...check, ...pace, ...(hold !== undefined && { for: hold }) };
}

function planGuardians(config: Config, guardians: ReadonlyMap<string, Guardian>, plan: CheckPlan): void {
  if (!config.defaultChecks) return;
  for (const guardian of guardians.values()) {
    if (config.guardians[guardian.guardian]?.enabled === false) continue;
    for (const { suffix, each, ...written } of guardian.checks) {
      const places = each === 'host' ? watchedHosts(config) : [undefined];
      for (const host of places) {
        const id = `${host ?? guardian.guardian}-${suffix}`;
        const made = Check.parse({ ...written, id, guardian: guardian.guardian, ...(host !== undefined && { host }) });
        plan.checks.push({ check: made, path: ['guardians', guardian.guardian], origin: 'guardian' });
      }
    }
  }
}

/** Hosts that can be looked at from inside. */
function watchedHosts(config: Config): string[] {
  return Object.entries(config.hosts).flatMap(([name, { via, read }]) =>
    via === 'local' || (via === 'ssh' && read !== undefined) ? [name] : [],
  );
}

interface Timing {
  config: Config;
  guardians: ReadonlyMap<string, Guardian>;
  plan: CheckPlan;
}

function scheduled(checks: readonly PlannedCheck[], timing: Timing): PlannedCheck[] {
  return checks.flatMap((planned) => {
    const { check } = planned;
    if (check.guardian === undefined) return [planned];
    const round = roundOf(check.guardian, timing);
    if (typeof round === 'string') {
      timing.plan.faults.push({ path: [...planned.path, 'guardian'], message: round });
      return [];
    }
    if (!round.enabled) return [];
    if (check.every !== undefined || check.cron !== undefined) return [planned];
    return [{ ...planned, check: { ...check, cron: round.cron, timezone: round.timezone } }];
  });
}

/** For each guardian that has checks, one that watches whether they look. */
function watchersOf(checks: readonly PlannedCheck[]): PlannedCheck[] {
  const ids = new Set(checks.map(({ check }) => check.id));
  const rounds = Map.groupBy(
    checks.filter(({ check }) => check.guardian !== undefined),
    ({ check }) => check.guardian ?? '',
  );
  return [...rounds].map(([name, own]) => {
    const id = ids.has(name) ? `${name}-guardian` : name;
    const named = (tried: boolean): string[] =>
      own.flatMap(({ check, origin }) => ((origin === 'guardian') === tried ? [check.id] : []));
    const check = Check.parse({ id, kind: 'guardian', name, members: named(false), tried: named(true) });
    return { check, path: ['guardians', name], origin: 'guardian' };
  });
}

/** When a guardian goes its round, or in words why that is not known. */
function roundOf(
  name: string,
  { config, guardians }: Timing,
): { enabled: boolean; cron: string; timezone: string } | string {
  const own = config.guardians[name];
  const shipped = guardians.get(name);
  if (own === undefined && shipped === undefined) {
    const near = suggest(name, [...guardians.keys(), ...Object.keys(config.guardians)]);
    return `names no guardian: "${name}"${near === undefined ? '' : `, did you mean "${near}"?`}`;
  }
  const cron = own?.cron ?? shipped?.cron;
  if (cron === undefined) return `guardian "${name}" has no cron: guardians.${name}.cron`;
  return {
    enabled: own?.enabled ?? true,
    cron,
    timezone: own?.timezone ?? machineZone(),
  };
}
