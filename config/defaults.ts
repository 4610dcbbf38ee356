import { Check, type CheckConfig } from './check-config.ts';
import type { Config, HostConfig } from './schema.ts';

/** A default check is named after its host: `<host>-<suffix>`. */
export const defaultSuffixes = ['reachable', 'resources', 'units', 'containers'] as const;

/** A default check before it got its id: `written` is what a person would have written. */
interface DefaultCheck {
  suffix: (typeof defaultSuffixes)[number];
  host: string;
  written: { kind: string; [key: string]: unknown };
}

/**
 * The checks that fit any machine, for each host of the configuration: resources, units, containers, and whether the
 * SSH port of a remote one answers. A check of the same kind among those chosen for the host replaces the default.
 */
export function defaultChecks(config: Config, chosen: readonly CheckConfig[]): CheckConfig[] {
  if (!config.defaultChecks) return [];
  const taken = new Set(chosen.map((check) => check.id));
  const kinds = kindsOf(chosen);
  const replaced = replacedBy(config, chosen);
  return Object.entries(config.hosts).flatMap(([name, host]) => {
    const wanted = [...reachability(name, host), ...looks(name, host, kinds)].filter((check) => !replaced(check));
    const reachable = wanted.find((check) => check.suffix === 'reachable');
    const reachableId = reachable && freeId(reachable, taken);
    return wanted.map((check) => {
      const dependsOn = reachableId === undefined || check === reachable ? [] : [reachableId];
      return Check.parse({ ...check.written, host: name, id: freeId(check, taken), dependsOn });
    });
  });
}

/**
 * A check that the person wrote for a host replaces the default of its kind. One of a preset looks at what it is about
 * and leaves the rest to the default, unless both would judge the same resources. Whether the host is there is asked
 * by whoever says so: a closed port of one service is not a host that is down.
 */
function replacedBy(config: Config, chosen: readonly CheckConfig[]): (check: DefaultCheck) => boolean {
  const [written, all] = [kindsOf(config.checks), kindsOf(chosen)];
  const asked = new Set(chosen.flatMap(({ host, options }) => (options['condition'] === 'host-down' ? [host] : [])));
  return ({ suffix, host, written: { kind } }) => {
    if (suffix === 'reachable') return asked.has(host);
    return (kind === 'host-resources' ? all : written).has(`${kind}\0${host}`);
  };
}

function kindsOf(checks: readonly CheckConfig[]): Set<string> {
  return new Set(checks.map(({ kind, host }) => `${kind}\0${host ?? ''}`));
}

function reachability(name: string, host: HostConfig): DefaultCheck[] {
  if (host.via === 'none') return pinged(name, host);
  if (host.via !== 'ssh') return [];
  if (host.onDemand !== undefined) return [sleeping(name, host)];
  return [
    {
      suffix: 'reachable',
      host: name,
      written: {
        kind: 'tcp',
        every: '30s',
        timeout: '5s',
        severity: 'critical',
        condition: 'host-down',
        address: host.address ?? name,
        port: host.port,
      },
    },
  ];
}

/** A device without a login is asked for an echo, once its address is written: many names of an inventory resolve nowhere. */
function pinged(name: string, { address, onDemand }: HostConfig): DefaultCheck[] {
  if (address === undefined || onDemand !== undefined) return [];
  const written = { kind: 'ping', every: '30s', timeout: '8s', condition: 'host-down', address };
  return [{ suffix: 'reachable', host: name, written }];
}

/** A host that may rest is asked whether it is awake: silence is no problem. */
function sleeping(name: string, host: HostConfig): DefaultCheck {
  const mac = host.onDemand?.mac;
  const address = host.address ?? name;
  return {
    suffix: 'reachable',
    host: name,
    written: {
      kind: 'on-demand',
      every: '30s',
      timeout: '5s',
      address,
      ports: [host.port],
      ...(mac !== undefined && { mac }),
    },
  };
}

/** Kinds that look closer at what `host-resources` looks at too: with one of them that part is left to it. */
const closer: Record<string, readonly string[]> = {
  'apt-updates': ['updates', 'reboot'],
  'nixos-generation': ['reboot'],
  'listening-ports': ['ports'],
  clock: ['clock'],
};

/** What is looked at on the host itself: here without a login, elsewhere only with one for reading. */
function looks(name: string, host: HostConfig, chosen: ReadonlySet<string>): DefaultCheck[] {
  if (host.via === 'none' || (host.via === 'ssh' && host.read === undefined)) return [];
  const left = Object.keys(closer).flatMap((kind) => (chosen.has(`${kind}\0${name}`) ? (closer[kind] ?? []) : []));
  const off = left.length === 0 ? {} : { off: [...new Set(left)] };
  return [
    { suffix: 'resources', host: name, written: { kind: 'host-resources', every: '60s', ...off } },
    { suffix: 'units', host: name, written: { kind: 'systemd-unit', every: '60s' } },
    { suffix: 'containers', host: name, written: { kind: 'docker-container', every: '60s' } },
  ];
}

/** With a number when the person has a check of that name. */
function freeId(check: DefaultCheck, taken: ReadonlySet<string>): string {
  const plain = `${check.host}-${check.suffix}`;
  let id = plain;
  for (let number = 2; taken.has(id); number += 1) id = `${plain}-${number}`;
  return id;
}
