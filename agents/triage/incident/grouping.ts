import type { Inventory } from '#config/inventory.ts';
import { append } from './append.ts';
import { type Clue, compareRoots } from './clue.ts';
import { type Cause, type RuleId, causeOf, rootRule, sceneOf } from './root-cause.ts';

interface GroupMember {
  clue: Clue;
  role: 'root' | 'symptom';
  rule: RuleId;
  why: string;
}

/** A root and what follows from it; the root is the first member. */
export interface Group {
  root: Clue;
  members: GroupMember[];
}

/**
 * Partitions the firing findings by cause. A pure function of the set: the order in which they came, and what was
 * told before, do not matter.
 */
export function groupsOf(clues: readonly Clue[], inventory: Inventory): Group[] {
  const scene = sceneOf(clues, inventory);
  // What another program says may follow from anything, but never hides what Lares saw itself.
  const own = clues.filter(({ isForeign }) => !isForeign);
  const ownScene = own.length === clues.length ? scene : sceneOf(own, inventory);
  const causes = new Map<string, Cause>();
  for (const clue of clues) {
    const cause = causeOf(clue, clue.isForeign ? scene : ownScene);
    if (cause !== undefined) causes.set(clue.fingerprint, cause);
  }
  const roots = new Map<string, Clue>();
  for (const clue of clues) findRoot(clue, causes, roots);
  const groups = new Map<string, Group>();
  for (const clue of [...clues].sort(compareRoots)) {
    const root = roots.get(clue.fingerprint) ?? clue;
    const group = groups.get(root.fingerprint) ?? { root, members: [] };
    groups.set(root.fingerprint, group);
    const cause = causes.get(clue.fingerprint);
    if (clue !== root && cause !== undefined)
      group.members.push({ clue, role: 'symptom', rule: cause.rule, why: cause.why });
  }
  for (const group of groups.values()) {
    group.members.unshift({ clue: group.root, role: 'root', ...rootRule(group.root, group.members.length) });
  }
  return [...groups.values()];
}

/** Follows the causes to the top. Things that depend on each other make a loop: it is cut at its best root. */
function findRoot(start: Clue, causes: Map<string, Cause>, roots: Map<string, Clue>): void {
  const path: Clue[] = [];
  const seen = new Set<string>();
  let clue = start;
  while (!roots.has(clue.fingerprint) && !seen.has(clue.fingerprint)) {
    path.push(clue);
    seen.add(clue.fingerprint);
    const cause = causes.get(clue.fingerprint);
    if (cause === undefined) break;
    clue = cause.clue;
  }
  let root = roots.get(clue.fingerprint) ?? clue;
  if (!roots.has(clue.fingerprint) && causes.has(clue.fingerprint)) {
    const loop = path.slice(path.findIndex((member) => member === clue));
    root = loop.toSorted(compareRoots)[0] ?? clue;
    causes.delete(root.fingerprint);
  }
  for (const member of path) roots.set(member.fingerprint, root);
}

/** What is known of an incident when findings are placed. */
export interface Standing {
  id: string;
  /** The incident was told to people: what is in it stays in it. While it is grouping it follows its root alone. */
  sticky: boolean;
  root: string;
  /** Fingerprints of its members. */
  members: readonly string[];
  startsAt: number;
}

/** One incident as it must look: `incident` is undefined for a new one; `merged` are parts of it from now on. */
export interface Placement {
  incident: string | undefined;
  merged: string[];
  group: Group;
}

/** Where each group goes. Standings that no group touches are over. */
export function placeGroups(groups: readonly Group[], standings: readonly Standing[]): Placement[] {
  const groupOf = new Map<string, number>();
  for (const [index, group] of groups.entries()) {
    for (const member of group.members) groupOf.set(member.clue.fingerprint, index);
  }
  const parents = groups.map((_, index) => index);
  const anchors = new Map<string, number>();
  for (const standing of standings) {
    const touched = touchedBy(standing, groupOf);
    const [first, ...others] = touched;
    if (first === undefined) continue;
    anchors.set(standing.id, first);
    for (const other of others) join(parents, first, other);
  }
  const standingsOf = new Map<number, Standing[]>();
  for (const standing of standings) {
    const anchor = anchors.get(standing.id);
    if (anchor !== undefined) append(standingsOf, find(parents, anchor), standing);
  }
  return components(groups, parents).map(([top, indexes]) => {
    const group = unite(indexes.flatMap((index) => groups[index] ?? []));
    const own = standingsOf.get(top) ?? [];
    const [primary, ...merged] = own.toSorted((a, b) => compareStandings(a, b, group.root.fingerprint));
    return { incident: primary?.id, merged: merged.map((standing) => standing.id), group };
  });
}

function touchedBy(standing: Standing, groupOf: ReadonlyMap<string, number>): number[] {
  const all = standing.members.flatMap((member) => groupOf.get(member) ?? []);
  if (standing.sticky) return [...new Set(all)];
  const own = groupOf.get(standing.root) ?? all[0];
  return own === undefined ? [] : [own];
}

/** The told before the untold, the one that holds the root, the oldest. */
function compareStandings(a: Standing, b: Standing, root: string): number {
  return (
    Number(b.sticky) - Number(a.sticky) ||
    Number(b.members.includes(root)) - Number(a.members.includes(root)) ||
    a.startsAt - b.startsAt ||
    (a.id < b.id ? -1 : 1)
  );
}

/** One group of several that history holds together: the best root stays, the other roots say why they are silent. */
function unite(groups: Group[]): Group {
  const [best, ...others] = groups.toSorted((a, b) => compareRoots(a.root, b.root));
  if (best === undefined) throw new RangeError('A component has at least one group');
  if (others.length === 0) return best;
  const silent = others.flatMap((group) =>
    group.members.map((member): GroupMember =>
      member.role === 'symptom'
        ? member
        : {
            ...member,
            role: 'symptom',
            rule: 'same-incident',
            why: 'it followed from the same cause and stays in this incident until it is over itself',
          },
    ),
  );
  return { root: best.root, members: [...best.members, ...silent] };
}

function components(groups: readonly Group[], parents: number[]): [number, number[]][] {
  const lists = new Map<number, number[]>();
  for (const index of groups.keys()) append(lists, find(parents, index), index);
  return [...lists];
}

function find(parents: number[], index: number): number {
  let top = index;
  while (parents[top] !== top) top = parents[top] ?? top;
  parents[index] = top;
  return top;
}

function join(parents: number[], a: number, b: number): void {
  parents[find(parents, b)] = find(parents, a);
}
