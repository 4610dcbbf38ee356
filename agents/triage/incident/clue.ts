import type { Severity } from '#bus/fields.ts';
import type { Finding } from '#bus/messages/finding.ts';
import type { Inventory } from '#config/inventory.ts';

/** What grouping needs of a firing finding; evidence stays in the store. */
export interface Clue {
  fingerprint: string;
  occurrence: string;
  condition: Finding['condition'];
  severity: Severity;
  kind: string;
  /** Told by another program that may not choose. */
  isForeign: boolean;
  host: string | undefined;
  resource: string;
  labels: Readonly<Record<string, string>>;
  summary: string;
  /** Epoch ms. */
  startsAt: number;
}

export function clueOf(finding: Finding): Clue {
  const { fingerprint, occurrence, condition, severity, kind, resource, labels, summary } = finding;
  return {
    fingerprint,
    occurrence,
    condition,
    severity,
    kind,
    isForeign: finding.foreign === true,
    host: finding.host,
    resource,
    labels,
    summary,
    startsAt: Date.parse(finding.startsAt),
  };
}

/** The sort of trouble in one word: `host-down`, `HostDown` and `host_down` are the same. */
export function wordOf(clue: Clue): string {
  return (clue.labels['alertname'] ?? clue.kind).toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}

/** What the words of a clue say; asked for of each clue at each grouping, many times over. */
interface Trouble {
  reachRank: 0 | 1 | 2 | 3 | 4;
  isUnit: boolean;
}

const troubles = new WeakMap<Clue, Trouble>();

function troubleOf(clue: Clue): Trouble {
  const known = troubles.get(clue);
  if (known !== undefined) return known;
  const rank = rankOf(clue);
  const trouble = { reachRank: rank, isUnit: rank === 0 && unitTrouble.test(wordOf(clue)) };
  troubles.set(clue, trouble);
  return trouble;
}

const unitTrouble =
  /^(?:systemd)?(?:unit|service|container|docker|process)\w*?(?:down|failed|unhealthy|stopped|exited|dead|missing|restarting)$/;
const reachability = /^(?:host|node|guest|vm|ct|machine|instance|server)(?:down|unreachable|offline|stopped)$/;

/**
 * How strongly a finding says that its whole host cannot be reached: 4 the host is down, 3 no answer to ping, 2 no
 * answer at the SSH port, 1 a check could not look, 0 something else.
 */
export function reachRank(clue: Clue): Trouble['reachRank'] {
  return troubleOf(clue).reachRank;
}

function rankOf(clue: Clue): Trouble['reachRank'] {
  if (clue.condition === 'unknown' || clue.condition === 'stale') return 1;
  const word = wordOf(clue);
  if (reachability.test(word)) return 4;
  if (/^(?:ping|icmp)(?:down|failed|loss|unreachable)?$/.test(word)) return 3;
  if (/^ssh(?:down|unreachable|failed)$/.test(word)) return 2;
  return /^(?:tcp|port)(?:down|closed|unreachable|refused)?$/.test(word) && isSshPort(clue) ? 2 : 0;
}

function isSshPort(clue: Clue): boolean {
  return clue.labels['port'] === '22' || clue.resource.endsWith(':22');
}

const maximumAddresses = 4;
const addresses = new WeakMap<Clue, readonly string[]>();

/** Addresses and full names that the resource holds: `10.0.0.5:53`, `https://web.example.org/health`. */
export function addressesIn(clue: Clue): readonly string[] {
  const known = addresses.get(clue);
  if (known !== undefined) return known;
  const found = clue.resource.toLowerCase().match(/\[[0-9a-f:.]+\]|[a-z0-9-]+(?:\.[a-z0-9-]+)+/g) ?? [];
  const kept = [...new Set(found)].slice(0, maximumAddresses);
  addresses.set(clue, kept);
  return kept;
}

/** A unit, container or process is down: nearer to the metal than what it serves. */
export function isUnitTrouble(clue: Clue): boolean {
  return troubleOf(clue).isUnit;
}

/** Something does not answer, seen from the network. */
export function isServiceDown(clue: Clue): boolean {
  if (reachRank(clue) > 0 || isUnitTrouble(clue)) return false;
  return (
    /(?:down|failed|unreachable|refused|timeout|unhealthy)$/.test(wordOf(clue)) || /^(?:http|tcp)$/.test(clue.kind)
  );
}

/** The unit or container that a finding names, `nginx` for `nginx.service`. */
export function unitOf(labels: Readonly<Record<string, string>>): string | undefined {
  return (labels['unit'] ?? labels['container'])?.replace(/\.service$/, '');
}

/** What of the inventory a finding is about. */
export interface Subject {
  host: string | undefined;
  service: string | undefined;
}

export function subjectOf(clue: Clue, inventory: Inventory): Subject {
  const host = hostOf(clue, inventory);
  const named = clue.labels['service'];
  const service = named !== undefined && inventory.nodes.get(named)?.type === 'service' ? named : undefined;
  if (service !== undefined) return { host: host ?? inventory.nodes.get(service)?.on, service };
  return { host, service: serviceByUnit(clue, host, inventory) };
}

/** A check of a whole cluster looks at one host and tells of many: who is down stands in the labels. */
export function toldOf({ labels }: Clue): string | undefined {
  return labels['guest'] ?? labels['node'];
}

function hostOf(clue: Clue, inventory: Inventory): string | undefined {
  const labelled = toldOf(clue);
  const named = labelled === undefined ? undefined : inventory.nameOf(labelled);
  if (named !== undefined && (reachRank(clue) > 1 || clue.host === undefined)) return named;
  return clue.host === undefined ? undefined : (inventory.nameOf(clue.host) ?? clue.host);
}

function serviceByUnit(clue: Clue, host: string | undefined, inventory: Inventory): string | undefined {
  const unit = unitOf(clue.labels);
  if (unit === undefined || host === undefined) return undefined;
  for (const node of inventory.nodes.values()) {
    if (node.type === 'service' && node.on === host && unitOf(node.labels) === unit) return node.name;
  }
  return undefined;
}

/** Who knows best why a host is gone: the node of a guest, which stopped it; then who asked it; then its neighbours. */
function witnessRank(clue: Clue): 0 | 1 | 2 {
  if (clue.labels['guest'] !== undefined) return 2;
  const told = toldOf(clue);
  return told === undefined || told === clue.host ? 1 : 0;
}

/** The best root first: what says most about a whole host, then what is nearest to the metal, then what came first. */
export function compareRoots(a: Clue, b: Clue): number {
  return (
    reachRank(b) - reachRank(a) ||
    (reachRank(a) > 1 ? witnessRank(b) - witnessRank(a) : 0) ||
    Number(isUnitTrouble(b)) - Number(isUnitTrouble(a)) ||
    a.startsAt - b.startsAt ||
    (a.fingerprint < b.fingerprint ? -1 : a.fingerprint > b.fingerprint ? 1 : 0)
  );
}
