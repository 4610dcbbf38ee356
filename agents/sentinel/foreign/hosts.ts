import type { Config } from '#config/schema.ts';

/** The inventory's name of the host that labels are about, when they name one. */
export type HostFinder = (labels: Readonly<Record<string, string>>) => string | undefined;

/** Labels that name a host, the most telling first. */
const hostLabels = [
  'host',
  'instance',
  'hostname',
  'node',
  'nodename',
  'guest',
  'server',
  'agent',
  'exported_instance',
];

/** Knows hosts by name, by address, with a port and as part of a URL; a name two hosts could answer to is nobody's. */
export function createHostFinder(hosts: Config['hosts']): HostFinder {
  const exact = new Map<string, string>();
  const loose = new Map<string, string | undefined>();
  for (const [name, host] of Object.entries(hosts)) {
    exact.set(name.toLowerCase(), name);
    for (const other of [host.address, shortName(name), host.address && shortName(host.address)]) {
      if (other === undefined || other === '') continue;
      const key = other.toLowerCase();
      loose.set(key, loose.has(key) && loose.get(key) !== name ? undefined : name);
    }
  }
  const find = (text: string): string | undefined => exact.get(text) ?? loose.get(text);
  return (labels) => {
    for (const label of hostLabels) {
      const value = labels[label];
      if (value === undefined || value === '') continue;
      const place = placeIn(value.slice(0, 2_000)).toLowerCase();
      const found = find(value.toLowerCase()) ?? find(place) ?? find(shortName(place));
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

/** `web` of `web.example.org`; an address has no short name. */
function shortName(name: string): string {
  return /^[\d.]+$/.test(name) || name.includes(':') ? '' : (name.split('.')[0] ?? '');
}

/** The host of `host:port`, `[::1]:port`, `user@host`, a URL. */
function placeIn(value: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `scheme://${value}`;
  const host = URL.parse(url)?.hostname ?? value;
  return host.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}
