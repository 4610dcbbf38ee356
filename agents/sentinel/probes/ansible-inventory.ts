import { parse } from 'yaml';

/** A host of an inventory; of its variables only those that say how to reach it. */
export interface AnsibleHost {
  name: string;
  groups: string[];
  address?: string;
  port?: number;
  user?: string;
  isLocal: boolean;
}

const maximumHosts = 2_000;
const maximumLines = 50_000;

type Members = Record<string, unknown>;
type Hosts = Map<string, { groups: Set<string>; variables: Members }>;

/** What `ansible-inventory --list` prints; undefined when it is not that. */
export function hostsOfListing(value: unknown): AnsibleHost[] | undefined {
  const listing = members(value);
  if (!('_meta' in listing)) return undefined;
  const variables = members(members(listing['_meta'])['hostvars']);
  const hosts: Hosts = new Map();
  const children = new Map<string, string[]>();
  for (const [group, body] of Object.entries(listing)) {
    children.set(group, listOf(members(body)['children']));
    for (const name of listOf(members(body)['hosts'])) add(hosts, name, { group });
  }
  for (const [name, known] of Object.entries(variables)) add(hosts, name, { variables: members(known) });
  climb(hosts, children);
  return finish(hosts);
}

/** A YAML or INI inventory as text, read without Ansible; undefined when it is neither. Variables of groups count too. */
export function hostsOfText(text: string): AnsibleHost[] | undefined {
  const yaml = yamlOf(text);
  if (yaml !== undefined) {
    const hosts: Hosts = new Map();
    for (const [group, body] of Object.entries(yaml)) {
      if (!walkGroup(hosts, { group, body, above: [], variables: {} })) return undefined;
    }
    return finish(hosts);
  }
  return /^[^\p{Cc}]*$/mu.test(text) && !text.includes('\0') ? hostsOfIni(text) : undefined;
}

function yamlOf(text: string): Members | undefined {
  // An INI file begins with a section, a host or a comment; a YAML one has a key that ends in a colon.
  if (!/^\s*[\w.-]+:\s*(?:#.*)?$/m.test(text) || /^\s*\[[^\]]+\]\s*$/m.test(text)) return undefined;
  try {
    const value: unknown = parse(text, { maxAliasCount: 100, logLevel: 'error' });
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Members) : undefined;
  } catch {
    return undefined;
  }
}

interface Group {
  group: string;
  body: unknown;
  above: readonly string[];
  variables: Members;
}

function walkGroup(hosts: Hosts, { group, body, above, variables }: Group): boolean {
  if (body !== null && (typeof body !== 'object' || Array.isArray(body))) return false;
  const own = members(body);
  const path = [...above, group];
  if (path.length > 30) return false;
  const inherited = { ...variables, ...members(own['vars']) };
  for (const [pattern, given] of Object.entries(members(own['hosts']))) {
    for (const name of expandRange(pattern)) {
      for (const each of path) add(hosts, name, { group: each });
      add(hosts, name, { variables: { ...inherited, ...members(given) } });
    }
  }
  const children = Object.entries(members(own['children']));
  return children.every(([name, child]) =>
    walkGroup(hosts, { group: name, body: child, above: path, variables: inherited }),
  );
}

interface Ini {
  hosts: Hosts;
  children: Map<string, string[]>;
  variables: Map<string, Members>;
}

function hostsOfIni(text: string): AnsibleHost[] {
  const ini: Ini = { hosts: new Map(), children: new Map(), variables: new Map() };
  let section = { group: 'ungrouped', part: '' };
  for (const raw of text.split('\n').slice(0, maximumLines)) {
    const line = raw.replace(/(?:^|\s)[#;].*$/, '').trim();
    if (line === '') continue;
    const [, group, part = ''] = /^\[([^\]:]+)(?::(\w+))?\]$/.exec(line) ?? [];
    if (group === undefined) takeLine(ini, line, section);
    else section = { group, part };
  }
  inherit(ini);
  return finish(ini.hosts);
}

function takeLine(
  { hosts, children, variables }: Ini,
  line: string,
  { group, part }: { group: string; part: string },
): void {
  if (part === 'children') return void children.set(group, [...(children.get(group) ?? []), line]);
  if (part === 'vars') {
    const [key = '', ...value] = line.split('=');
    return void variables.set(group, { ...variables.get(group), [key.trim()]: unquoted(value.join('=').trim()) });
  }
  if (part !== '') return;
  const [pattern = '', ...rest] = line.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  const given = rest.flatMap((word): [string, string][] => {
    const at = word.indexOf('=');
    return at < 1 ? [] : [[word.slice(0, at), unquoted(word.slice(at + 1))]];
  });
  for (const name of expandRange(pattern)) add(hosts, name, { group, variables: Object.fromEntries(given) });
}

/** Variables of groups count where the host has none of its own. */
function inherit({ hosts, children, variables }: Ini): void {
  climb(hosts, children);
  for (const host of hosts.values()) {
    for (const group of [...host.groups, 'all']) host.variables = { ...variables.get(group), ...host.variables };
  }
}

/** A host of a group is one of the groups above it too. */
function climb(hosts: Hosts, children: ReadonlyMap<string, readonly string[]>): void {
  const parents = new Map<string, string[]>();
  for (const [parent, its] of children) {
    if (unnamed.has(parent)) continue;
    for (const child of its) parents.set(child, [...(parents.get(child) ?? []), parent]);
  }
  for (const { groups } of hosts.values()) {
    // A set grows while it is walked: each group is visited once, loops end.
    for (const group of groups) for (const parent of parents.get(group) ?? []) groups.add(parent);
  }
}

/** Groups that every inventory has say nothing. */
const unnamed = new Set(['all', 'ungrouped']);

function unquoted(text: string): string {
  return text.replace(/^(["'])(.*)\1$/, '$2');
}

function add(hosts: Hosts, name: string, of: { group?: string; variables?: Members }): void {
  if (hosts.size >= maximumHosts && !hosts.has(name)) return;
  const host = hosts.get(name) ?? { groups: new Set<string>(), variables: {} };
  if (of.group !== undefined && !unnamed.has(of.group)) host.groups.add(of.group);
  host.variables = { ...host.variables, ...of.variables };
  hosts.set(name, host);
}

function finish(hosts: Hosts): AnsibleHost[] {
  return [...hosts].map(([name, { groups, variables }]) => {
    const address = textOf(variables['ansible_host'] ?? variables['ansible_ssh_host']);
    const user = textOf(variables['ansible_user'] ?? variables['ansible_ssh_user']);
    const port = Number(variables['ansible_port'] ?? variables['ansible_ssh_port']);
    return {
      name: name.slice(0, 255),
      groups: [...groups].toSorted().slice(0, 50),
      ...(address !== undefined && { address }),
      ...(user !== undefined && { user }),
      ...(Number.isInteger(port) && port > 0 && port < 65_536 && { port }),
      isLocal: variables['ansible_connection'] === 'local' || name === 'localhost' || name === '127.0.0.1',
    };
  });
}

/** A template is filled in by Ansible alone. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && !value.includes('{{') ? value.slice(0, 255) : undefined;
}

/** `web[01:03].lan` is web01, web02 and web03; `db[a:c]` goes by letters, `[1:9:2]` in steps. */
export function expandRange(pattern: string): string[] {
  let names = [pattern.replace(/:\d+$/, '')];
  for (let round = 0; round < 4 && names.some((name) => range.test(name)); round += 1) {
    names = names.flatMap(expandOnce).slice(0, maximumHosts);
  }
  return names;
}

const range = /\[(\d+|[a-zA-Z]):(\d+|[a-zA-Z])(?::(\d+))?\]/;

function expandOnce(name: string): string[] {
  const found = range.exec(name);
  if (found === null) return [name];
  const [whole, from = '', to = '', step = '1'] = found;
  const isNumber = /^\d+$/.test(from);
  const [first, last] = isNumber ? [Number(from), Number(to)] : [from.charCodeAt(0), to.charCodeAt(0)];
  const by = Math.max(1, Number(step));
  const names: string[] = [];
  for (let at = first; at <= last && names.length < maximumHosts; at += by) {
    const text = isNumber ? String(at).padStart(from.length, '0') : String.fromCharCode(at);
    names.push(name.replace(whole, () => text));
  }
  return names.length === 0 ? [name] : names;
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function members(value: unknown): Members {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Members) : {};
}
