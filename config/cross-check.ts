import { cronFault, cronWarnings, nextCronRun } from './cron.ts';
import { defaultSuffixes } from './defaults.ts';
import type { ConfigPath } from './fault.ts';
import type { CheckConfig } from './check-config.ts';
import { planChecks } from './planned-checks.ts';
import type { Config } from './schema.ts';
import { suggest } from './suggest.ts';
import { machineZone } from './time-zone.ts';

/** A fault before its place in the file is known. */
export interface Remark {
  path: ConfigPath;
  message: string;
  hint?: string;
}

interface CrossCheck {
  faults: Remark[];
  /** Nothing is wrong, but a person may not have meant it. */
  warnings: Remark[];
}

/** What no schema can say: names that must exist, loops, expressions that never run. `nowMs` is for time zones. */
export function crossCheck(config: Config, nowMs: number): CrossCheck {
  const found: CrossCheck = { faults: [], warnings: [] };
  hostFaults(config, found);
  serviceFaults(config, found);
  for (const name of Object.keys(config.hosts)) loopFault(config, name, found);
  groupWarnings(config, found);
  checkIdFaults(config.checks, found);
  const plan = planChecks(config);
  found.faults.push(...plan.faults);
  const planned = plan.checks.map(({ check }) => check.id);
  for (const [index, check] of config.checks.entries()) {
    checkFaults(config, check, { path: ['checks', index], found, planned });
    timingFaults(check, { path: ['checks', index], found, nowMs });
  }
  for (const [name, { cron }] of Object.entries(config.guardians)) {
    const fault = cron === undefined ? undefined : cronFault(cron);
    if (fault !== undefined) found.faults.push({ path: ['guardians', name, 'cron'], message: fault });
  }
  providerFaults(config, found);
  const signers = config.remediation.signers.map(({ name }) => name);
  repeated(signers).forEach(([name, index]) => {
    found.faults.push({ path: ['remediation', 'signers', index, 'name'], message: `is used twice: "${name}"` });
  });
  return found;
}

function hostFaults(config: Config, { faults, warnings }: CrossCheck): void {
  for (const [name, host] of Object.entries(config.hosts)) {
    const path = ['hosts', name];
    if (host.on !== undefined) nameFault(host.on, Object.keys(config.hosts), { path: [...path, 'on'], faults });
    dependsOnFaults(host.dependsOn, namesOf(config), { path, faults, self: name });
    const login = host.read ?? host.act;
    if (host.via === 'none' && login !== undefined) {
      const hint = 'take the logins away, or "via: none"';
      faults.push({ path: [...path, 'via'], message: 'says that it has no login, and there is one', hint });
    }
    if (host.via === 'ssh' && login !== undefined && host.hostKeys.length === 0) {
      const hint = `lares doctor prints the key that "${name}" shows; compare it on the machine and add it`;
      warnings.push({ path, message: 'has no hostKeys: Lares logs in to no machine that it cannot recognise', hint });
    }
  }
}

/** A group of one guards nothing: its name is most often misspelt. */
function groupWarnings(config: Config, { warnings }: CrossCheck): void {
  const members = [
    ...Object.entries(config.hosts).map(([name, { group }]) => ({ path: ['hosts', name, 'group'], group })),
    ...Object.entries(config.services).map(([name, { group }]) => ({ path: ['services', name, 'group'], group })),
  ];
  for (const { path, group } of members) {
    if (group === undefined || members.filter((other) => other.group === group).length > 1) continue;
    const near = suggest(
      group,
      members.map((other) => other.group ?? '').filter((other) => other !== group),
    );
    const hint = near === undefined ? {} : { hint: `did you mean "${near}"?` };
    warnings.push({ path, message: `is a redundancy group with one member: "${group}"`, ...hint });
  }
}

function serviceFaults(config: Config, { faults }: CrossCheck): void {
  for (const [name, service] of Object.entries(config.services)) {
    const path = ['services', name];
    if (name in config.hosts) faults.push({ path, message: `is also the name of a host: "${name}"` });
    nameFault(service.on, Object.keys(config.hosts), { path: [...path, 'on'], faults });
    dependsOnFaults(service.dependsOn, namesOf(config), { path, faults, self: name });
  }
}

function namesOf(config: Config): string[] {
  return [...Object.keys(config.hosts), ...Object.keys(config.services)];
}

function nameFault(name: string, known: readonly string[], at: { path: ConfigPath; faults: Remark[] }): void {
  if (known.includes(name)) return;
  const near = suggest(name, known);
  at.faults.push({
    path: at.path,
    message: `names nothing in this configuration: "${name}"`,
    ...(near !== undefined && { hint: `did you mean "${near}"?` }),
  });
}

function dependsOnFaults(
  names: readonly string[],
  known: readonly string[],
  at: { path: ConfigPath; faults: Remark[]; self?: string },
): void {
  for (const [index, name] of names.entries()) {
    const path = [...at.path, 'dependsOn', index];
    if (name === at.self) at.faults.push({ path, message: 'depends on itself' });
    else nameFault(name, known, { path, faults: at.faults });
  }
}

/** Reported once for each loop: at the host of it that comes first by name. */
function loopFault(config: Config, start: string, { faults }: CrossCheck): void {
  const chain = [start];
  for (let at = config.hosts[start]?.on; at !== undefined; at = config.hosts[at]?.on) {
    if (at === start) {
      if (chain.toSorted()[0] !== start) return;
      faults.push({ path: ['hosts', start, 'on'], message: `runs on itself: ${[...chain, start].join(' -> ')}` });
      return;
    }
    if (chain.includes(at)) return;
    chain.push(at);
  }
}

function checkIdFaults(checks: readonly CheckConfig[], { faults }: CrossCheck): void {
  for (const [id, index] of repeated(checks.map((check) => check.id))) {
    faults.push({ path: ['checks', index, 'id'], message: `is used by another check: "${id}"` });
  }
}

/** Values that came before, with their second and later positions. */
function repeated(values: readonly string[]): [string, number][] {
  const seen = new Set<string>();
  const found: [string, number][] = [];
  for (const [index, value] of values.entries()) {
    if (seen.has(value)) found.push([value, index]);
    seen.add(value);
  }
  return found;
}

interface Place {
  path: ConfigPath;
  found: CrossCheck;
}

function checkFaults(
  config: Config,
  check: CheckConfig,
  { path, found: { faults }, planned }: Place & { planned: readonly string[] },
): void {
  if (check.host !== undefined) nameFault(check.host, Object.keys(config.hosts), { path: [...path, 'host'], faults });
  if (check.service !== undefined) {
    nameFault(check.service, Object.keys(config.services), { path: [...path, 'service'], faults });
  }
  const ids = planned.filter((id) => id !== check.id);
  const defaults = Object.keys(config.hosts).flatMap((host) => defaultSuffixes.map((suffix) => `${host}-${suffix}`));
  dependsOnFaults(check.dependsOn, [...namesOf(config), ...ids, ...defaults], { path, faults });
  const { window } = check;
  if (window !== undefined && window.failures > window.of) {
    faults.push({ path: [...path, 'window', 'failures'], message: `must not be more than window.of, ${window.of}` });
  }
}

function timingFaults(check: CheckConfig, { path, found, nowMs }: Place & { nowMs: number }): void {
  const { faults, warnings } = found;
  if (check.every !== undefined && check.every < 1_000) {
    faults.push({ path: [...path, 'every'], message: 'must be at least 1s' });
  }
  if (check.timeout < 1) faults.push({ path: [...path, 'timeout'], message: 'must be longer than 0s' });
  if (check.cron === undefined) {
    if (check.timezone !== undefined)
      faults.push({ path: [...path, 'timezone'], message: 'means nothing without cron' });
    return;
  }
  const at = [...path, 'cron'];
  if (check.every !== undefined) faults.push({ path: at, message: 'stands beside "every"', hint: 'give one of them' });
  const fault = cronFault(check.cron);
  if (fault !== undefined) {
    faults.push({ path: at, message: fault, hint: 'for example "30 2 * * *": each day at 02:30' });
    return;
  }
  const timezone = check.timezone ?? machineZone();
  if (nextCronRun(check.cron, timezone, nowMs) === Number.POSITIVE_INFINITY) {
    faults.push({ path: at, message: 'never runs: no such day comes' });
  }
  for (const message of cronWarnings(check.cron, timezone, nowMs)) warnings.push({ path: at, message });
}

function providerFaults(config: Config, { faults }: CrossCheck): void {
  const { providers } = config.llm;
  for (const [name, index] of repeated(providers.map((provider) => provider.name))) {
    faults.push({ path: ['llm', 'providers', index, 'name'], message: `is used twice: "${name}"` });
  }
  for (const [index, provider] of providers.entries()) {
    const path = ['llm', 'providers', index];
    if (provider.kind === 'compatible' && provider.baseUrl === undefined) {
      faults.push({ path, message: 'needs a baseUrl', hint: 'for example http://127.0.0.1:11434/v1' });
    }
    if (provider.kind !== 'compatible' && provider.apiKey === undefined) {
      faults.push({ path, message: 'needs an apiKey', hint: 'for example apiKey: { file: anthropic.key }' });
    }
  }
}
