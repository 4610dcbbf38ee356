import { matchesAny } from './glob.ts';
import { digestOf } from './drift.ts';
import type { Firewall } from './firewall-script.ts';
import { oneLine } from './text.ts';

/** What a firewall says of itself. */
export interface FirewallState {
  isOn: boolean;
  /** What happens to what no rule speaks of. Undefined: it does not say. */
  byDefault?: 'denied' | 'allowed';
  /** What is compared between looks: a rule, a chain, a zone; and its content. */
  rules: Map<string, string>;
  /** Of ufw: what may come in from anywhere, as it writes it: `22/tcp`, `443`. */
  openToAll: string[];
}

const maximumRules = 2_000;

export function parseFirewall(kind: Firewall, text: string, ignore: readonly string[]): FirewallState | undefined {
  switch (kind) {
    case 'ufw':
      return parseUfw(text, ignore);
    case 'firewalld':
      return parseZones(text, ignore);
    case 'pve-firewall':
      return parseProxmox(text);
    case 'nftables':
      return parseNftables(text, ignore);
    case 'iptables':
      return parseIptables(text, ignore);
  }
}

const ufwRule = /^(\S.*?) {2,}((?:ALLOW|DENY|REJECT|LIMIT)(?: IN| OUT| FWD)?) {2,}(\S.*?)(?: +#.*)?\s*$/;

/** `ufw status verbose` of 0.36: a head, then `To  Action  From` with two blanks or more between, comments behind `#`. */
function parseUfw(text: string, ignore: readonly string[]): FirewallState | undefined {
  const status = /^Status: (active|inactive)$/m.exec(text)?.[1];
  if (status === undefined) return undefined;
  const policy = /^Default: (allow|deny|reject) \(incoming\)/m.exec(text)?.[1];
  const rules = text
    .split('\n')
    .slice(0, maximumRules)
    .flatMap((line) => {
      const [, to = '', action = '', from = ''] = ufwRule.exec(line) ?? [];
      const rule = { to, action, from, text: oneLine(`${to} ${action} ${from}`, 120) };
      return to === '' || matchesAny(rule.text, ignore) ? [] : [rule];
    });
  const open = rules.filter(
    ({ action, from }) => /^(?:ALLOW|LIMIT)(?: IN)?$/.test(action) && from.startsWith('Anywhere'),
  );
  return {
    isOn: status === 'active',
    ...(policy !== undefined && { byDefault: policy === 'allow' ? 'allowed' : 'denied' }),
    rules: new Map(rules.map((rule) => [rule.text, 'rule'])),
    openToAll: [...new Set(open.map(({ to }) => to.replace(/ \(v6\)$/, '')))],
  };
}

/** `firewall-cmd --list-all-zones`: the name of a zone, then its indented settings. */
function parseZones(text: string, ignore: readonly string[]): FirewallState | undefined {
  if (/not running/i.test(text)) return { isOn: false, rules: new Map(), openToAll: [] };
  const blocks = text.split(/\n(?=\S)/).filter((block) => /^\S.*\n(?:\s+.*\n?)+/.test(block));
  if (blocks.length === 0) return undefined;
  const rules = new Map<string, string>();
  for (const block of blocks.slice(0, maximumRules)) {
    const name = `zone ${oneLine((block.split('\n', 1)[0] ?? '').replace(/ \(.*$/, ''), 60)}`;
    if (!matchesAny(name, ignore)) rules.set(name, digestOf(block.trim()));
  }
  return { isOn: true, byDefault: 'denied', rules, openToAll: [] };
}

function parseProxmox(text: string): FirewallState | undefined {
  const [, configured, running] = /^Status: (enabled|disabled)\/(running|stopped)/m.exec(text) ?? [];
  if (configured === undefined) return undefined;
  return { isOn: configured === 'enabled' && running === 'running', rules: new Map(), openToAll: [] };
}

/** Chains of `nft -s -t list ruleset`, by table. A chain that takes what comes in names its hook and its policy. */
function parseNftables(text: string, ignore: readonly string[]): FirewallState | undefined {
  const chains = nftChains(text);
  if (text.trim() !== '' && !/^table /m.test(text)) return undefined;
  const inputs = [...chains.values()].filter((body) => /\bhook input\b/.test(body));
  const denies = inputs.some((body) => /\bpolicy drop\b|^\s*(?:.* )?(?:drop|reject)\b/m.test(body));
  return {
    isOn: inputs.length > 0,
    ...(inputs.length > 0 && { byDefault: denies ? 'denied' : 'allowed' }),
    rules: digests(chains, ignore),
    openToAll: [],
  };
}

function nftChains(text: string): Map<string, string> {
  const chains = new Map<string, string>();
  let table = '';
  let chain: string | undefined;
  for (const line of text.split('\n')) {
    table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
    const opened = /^\tchain (\S+) \{/.exec(line)?.[1];
    if (opened !== undefined && chains.size < maximumRules) {
      chain = oneLine(`${table} ${opened}`, 100);
      chains.set(chain, '');
    } else if (line === '\t}') chain = undefined;
    else if (chain !== undefined) chains.set(chain, `${chains.get(chain)}${line.trim()}\n`);
  }
  return chains;
}

/** Chains of `iptables-save`, by table; counters are left out. */
function parseIptables(text: string, ignore: readonly string[]): FirewallState | undefined {
  if (text.trim() !== '' && !/^\*(?:filter|nat|mangle|raw|security)$/m.test(text)) return undefined;
  const chains = iptablesChains(text);
  const input = (chains.get('filter INPUT') ?? 'ACCEPT').trim();
  const rules = digests(chains, ignore);
  if (input === 'ACCEPT') return { isOn: false, rules, openToAll: [] };
  const denies = /^(?:DROP|REJECT)\b|-j (?:DROP|REJECT)\b/m.test(input);
  return { isOn: true, byDefault: denies ? 'denied' : 'allowed', rules, openToAll: [] };
}

function iptablesChains(text: string): Map<string, string> {
  const chains = new Map<string, string>();
  let table = '';
  for (const line of text.split('\n')) {
    table = /^\*(\S+)$/.exec(line)?.[1] ?? table;
    const [, name, rest] = /^(?::|-A )(\S+) (.*?)(?: \[\d+:\d+\])?$/.exec(line) ?? [];
    if (name === undefined || chains.size >= maximumRules) continue;
    const chain = oneLine(`${table} ${name}`, 100);
    chains.set(chain, `${chains.get(chain) ?? ''}${rest}\n`);
  }
  return chains;
}

function digests(chains: ReadonlyMap<string, string>, ignore: readonly string[]): Map<string, string> {
  return new Map(
    [...chains].filter(([name]) => !matchesAny(name, ignore)).map(([name, body]) => [name, digestOf(body)]),
  );
}
