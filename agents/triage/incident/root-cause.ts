import type { Inventory } from '#config/inventory.ts';
import { append } from './append.ts';
import {
  type Clue,
  type Subject,
  addressesIn,
  compareRoots,
  isServiceDown,
  isUnitTrouble,
  reachRank,
  subjectOf,
  toldOf,
  unitOf,
  wordOf,
} from './clue.ts';

/** The ids that are printed for "why this root" and "why am I silent". */
export type RuleId =
  | 'gateway-down'
  | 'unreachable-host'
  | 'same-host'
  | 'same-resource'
  | 'container-runtime'
  | 'failed-on-host'
  | 'runs-on'
  | 'depends-on'
  | 'same-alert'
  | 'first-seen'
  | 'same-incident'
  | 'alone';

export interface Cause {
  clue: Clue;
  rule: RuleId;
  why: string;
}

/**
 * A problem that was firing so long before another began is not its symptom. Checks look at different moments, so a
 * symptom may be seen before its cause, but not by more than the longest `for` and interval in use.
 */
const horizonMs = 30 * 60_000;
/** Two failures this near in time on one host, one a unit and one a service, are taken for one. */
const togetherMs = 5 * 60_000;

/** So many alerts of one name, of things that the inventory does not know, are told together. */
const stormSize = 10;
/** One check that says the same of so many things has found one trouble, as a backup job that did not run. */
const sameCheckSize = 5;

/** Firing findings by what they are about. Built once for a set; each list is sorted best root first. */
interface Scene {
  inventory: Inventory;
  subjects: Map<string, Subject>;
  reach: Map<string, Clue[]>;
  /** Those that say that a whole host does not answer, by the address that was asked. */
  silent: Map<string, Clue[]>;
  units: Map<string, Clue[]>;
  services: Map<string, Clue[]>;
  gateways: Clue[];
  /** Those of no known host, by their alert. */
  homeless: Map<string, Clue[]>;
  /** Those that one check says of several things, by check and alert. */
  alike: Map<string, Clue[]>;
}

export function sceneOf(clues: Iterable<Clue>, inventory: Inventory): Scene {
  const scene: Scene = {
    inventory,
    subjects: new Map(),
    reach: new Map(),
    silent: new Map(),
    units: new Map(),
    services: new Map(),
    gateways: [],
    homeless: new Map(),
    alike: new Map(),
  };
  for (const clue of clues) place(scene, clue);
  for (const lists of [scene.reach, scene.silent, scene.units, scene.services, scene.homeless, scene.alike]) {
    for (const list of lists.values()) list.sort(compareRoots);
  }
  scene.gateways.sort(compareRoots);
  return scene;
}

function place(scene: Scene, clue: Clue): void {
  const subject = subjectOf(clue, scene.inventory);
  scene.subjects.set(clue.fingerprint, subject);
  if (isGateway(clue)) scene.gateways.push(clue);
  if (isHomeless(subject, scene)) append(scene.homeless, alertOf(clue), clue);
  if (isRepeatable(clue)) append(scene.alike, checkOf(clue), clue);
  if (subject.host !== undefined && reachRank(clue) > 0) append(scene.reach, subject.host, clue);
  for (const address of silentAddresses(clue)) append(scene.silent, address, clue);
  if (subject.host !== undefined && isUnitTrouble(clue)) append(scene.units, subject.host, clue);
  if (subject.service !== undefined && (isUnitTrouble(clue) || isServiceDown(clue))) {
    append(scene.services, subject.service, clue);
  }
}

function silentAddresses(clue: Clue): readonly string[] {
  return reachRank(clue) > 1 && !clue.isForeign ? addressesIn(clue) : [];
}

function isHomeless({ host, service }: Subject, { inventory }: Pick<Scene, 'inventory'>): boolean {
  return service === undefined && (host === undefined || !inventory.nodes.has(host));
}

function alertOf(clue: Clue): string {
  return `${clue.kind}\0${wordOf(clue)}`;
}

/** A unit has its own fix and a host its own rules; another program's alerts have no check. */
function isRepeatable(clue: Clue): boolean {
  const isTold = clue.labels['check'] !== undefined && !clue.isForeign && clue.condition === 'problem';
  return isTold && reachRank(clue) === 0 && !isUnitTrouble(clue);
}

function checkOf(clue: Clue): string {
  return `${clue.labels['check'] ?? ''}\0${wordOf(clue)}`;
}

function isGateway(clue: Clue): boolean {
  return (
    /^(?:gateway|sentinel|uplink)(?:down|unreachable|isolated|offline|problem)?$/.test(wordOf(clue)) &&
    clue.condition === 'problem'
  );
}

/** The nearest firing finding that explains `clue`, with the rule that says so; undefined when nothing does. */
export function causeOf(clue: Clue, scene: Scene): Cause | undefined {
  for (const rule of rules) {
    const cause = rule(clue, scene);
    if (cause !== undefined && cause.clue !== clue) return cause;
  }
  return undefined;
}

type Rule = (clue: Clue, scene: Scene) => Cause | undefined;

const rules: readonly Rule[] = [
  byGateway,
  byOwnHost,
  byUnit,
  byRuntime,
  byOnlyFailedUnit,
  byAncestor,
  byAddress,
  byAlert,
  byCheck,
];

function inTime(clue: Clue, cause: Clue): boolean {
  return reachRank(clue) > 0 || cause.startsAt - clue.startsAt <= horizonMs;
}

function byGateway(clue: Clue, scene: Scene): Cause | undefined {
  const [gateway] = scene.gateways;
  if (gateway === undefined || reachRank(clue) !== 1 || isGateway(clue)) return undefined;
  return { clue: gateway, rule: 'gateway-down', why: 'the way from here to the other machines does not work' };
}

function byOwnHost(clue: Clue, scene: Scene): Cause | undefined {
  const host = scene.subjects.get(clue.fingerprint)?.host;
  if (host === undefined) return undefined;
  const best = scene.reach.get(host)?.[0];
  if (best === undefined || best === clue || !inTime(clue, best)) return undefined;
  if (reachRank(best) > 1) {
    return { clue: best, rule: 'unreachable-host', why: `it is on "${host}", and ${host} does not answer` };
  }
  if (reachRank(clue) !== 1) return undefined;
  return { clue: best, rule: 'same-host', why: `another check could not look at "${host}" either` };
}

/** What serves a thing, for the thing that does not answer: the same unit or container, or a unit of the same service. */
function byUnit(clue: Clue, scene: Scene): Cause | undefined {
  if (isUnitTrouble(clue) || reachRank(clue) > 1) return undefined;
  const subject = scene.subjects.get(clue.fingerprint);
  if (subject?.host === undefined) return undefined;
  const node = subject.service === undefined ? undefined : scene.inventory.nodes.get(subject.service);
  const unit = unitOf(clue.labels) ?? (node === undefined ? undefined : unitOf(node.labels));
  const failed = scene.units
    .get(subject.host)
    ?.find((other) => sameService(other, subject, scene) || (unit !== undefined && unitOf(other.labels) === unit));
  if (failed === undefined || !inTime(clue, failed)) return undefined;
  return {
    clue: failed,
    rule: 'same-resource',
    why: `it is served by ${unitOf(failed.labels) ?? failed.resource}, which failed`,
  };
}

function sameService(other: Clue, subject: Subject, scene: Scene): boolean {
  return subject.service !== undefined && scene.subjects.get(other.fingerprint)?.service === subject.service;
}

function byRuntime(clue: Clue, scene: Scene): Cause | undefined {
  if (!isUnitTrouble(clue) || clue.labels['container'] === undefined) return undefined;
  const host = scene.subjects.get(clue.fingerprint)?.host;
  const runtime = scene.units
    .get(host ?? '')
    ?.find((other) => other !== clue && /^(?:docker|containerd|podman)$/.test(unitOf(other.labels) ?? ''));
  if (runtime === undefined || runtime.labels['container'] !== undefined || !inTime(clue, runtime)) return undefined;
  return { clue: runtime, rule: 'container-runtime', why: `its container runtime ${unitOf(runtime.labels)} failed` };
}

/** Nothing says which unit serves it, but exactly one unit of that host failed, at about the same time. */
function byOnlyFailedUnit(clue: Clue, scene: Scene): Cause | undefined {
  const subject = scene.subjects.get(clue.fingerprint);
  if (!isServiceDown(clue) || subject?.host === undefined || unitOf(clue.labels) !== undefined) return undefined;
  const [failed, ...others] = scene.units.get(subject.host) ?? [];
  if (failed === undefined || others.length > 0) return undefined;
  if (Math.abs(failed.startsAt - clue.startsAt) > togetherMs) return undefined;
  const unit = unitOf(failed.labels) ?? failed.resource;
  return {
    clue: failed,
    rule: 'failed-on-host',
    why: `${unit} is the one unit of "${subject.host}" that failed, at the same time`,
  };
}

function byAncestor(clue: Clue, scene: Scene): Cause | undefined {
  const subject = scene.subjects.get(clue.fingerprint);
  if (subject === undefined) return undefined;
  for (const start of [subject.service, subject.host]) {
    if (start === undefined) continue;
    for (const name of scene.inventory.ancestors(start)) {
      if (name === subject.host || name === subject.service) continue;
      const cause = troubleOf(name, clue, scene);
      if (cause === undefined || cause === clue || !inTime(clue, cause)) continue;
      const isBelow = runsOn(start, scene.inventory).includes(name);
      return isBelow
        ? { clue: cause, rule: 'runs-on', why: `it runs on "${name}": ${cause.summary}` }
        : { clue: cause, rule: 'depends-on', why: `it depends on "${name}": ${cause.summary}` };
    }
  }
  return undefined;
}

/** What a check of one host asks of another: a secondary that does not serve the zone of its primary. */
function byAddress(clue: Clue, scene: Scene): Cause | undefined {
  if (scene.silent.size === 0 || clue.isForeign || reachRank(clue) > 1 || isUnitTrouble(clue)) return undefined;
  for (const address of addressesIn(clue)) {
    const silent = scene.silent.get(address)?.[0];
    if (silent === undefined || silent === clue || !inTime(clue, silent)) continue;
    const name = scene.subjects.get(silent.fingerprint)?.host ?? address;
    return { clue: silent, rule: 'unreachable-host', why: `it is about ${address}, and ${name} does not answer` };
  }
  return undefined;
}

/** Nothing is known of where they are, and so many of one name are one message, as Alertmanager groups them. */
function byAlert(clue: Clue, scene: Scene): Cause | undefined {
  const subject = scene.subjects.get(clue.fingerprint);
  if (subject === undefined || !isHomeless(subject, scene)) return undefined;
  const alike = scene.homeless.get(alertOf(clue)) ?? [];
  const [first] = alike;
  if (first === undefined || first === clue || alike.length < stormSize) return undefined;
  return { clue: first, rule: 'same-alert', why: `it is one of ${alike.length} alerts of this name` };
}

function byCheck(clue: Clue, scene: Scene): Cause | undefined {
  const alike = isRepeatable(clue) ? (scene.alike.get(checkOf(clue)) ?? []) : [];
  const [first] = alike;
  if (first === undefined || first === clue || alike.length < sameCheckSize) return undefined;
  return { clue: first, rule: 'same-alert', why: `the same check says it of ${alike.length} things` };
}

/** A host hurts what stands on it when it cannot be reached, a service when it is down; a full disk hurts only itself. */
function troubleOf(name: string, clue: Clue, scene: Scene): Clue | undefined {
  if (scene.inventory.nodes.get(name)?.type === 'service') return scene.services.get(name)?.[0];
  const best = scene.reach.get(name)?.[0];
  if (best === undefined) return undefined;
  return reachRank(best) > 1 || reachRank(clue) === 1 ? best : undefined;
}

function runsOn(start: string, inventory: Inventory): string[] {
  const chain: string[] = [];
  let next = inventory.nodes.get(start)?.on;
  while (next !== undefined && !chain.includes(next)) {
    chain.push(next);
    next = inventory.nodes.get(next)?.on;
  }
  return chain;
}

/** Why a root is the root: the rule and its words. */
export function rootRule(root: Clue, symptoms: number): { rule: RuleId; why: string } {
  if (reachRank(root) > 1) {
    const name = toldOf(root) ?? root.host ?? root.resource;
    return { rule: 'unreachable-host', why: `"${name}" does not answer and nothing that it needs is firing` };
  }
  if (symptoms === 0) return { rule: 'alone', why: 'nothing that it runs on or depends on is firing' };
  return { rule: 'first-seen', why: 'nothing that it needs is firing, and the others follow from it' };
}
