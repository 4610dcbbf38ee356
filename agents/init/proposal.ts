import type { FoundSecret } from '../import/imported.ts';

/** One thing that init would write. The person says yes or no to each. */
export interface Proposal {
  section: 'hosts' | 'services' | 'discovery' | 'checks';
  /** The key or the id. */
  name: string;
  /** One line for the person who chooses. */
  text: string;
  /** What is written. */
  entry: Record<string, unknown>;
  /** Become comments above it. */
  notes: string[];
  isSelected: boolean;
  secrets: FoundSecret[];
}

/** What came of looking around. */
export interface Found {
  proposals: Proposal[];
  /** What could not be looked at or carried over. */
  remarks: string[];
}

export function proposal(of: Pick<Proposal, 'section' | 'name' | 'text' | 'entry'> & Partial<Proposal>): Proposal {
  return { notes: [], isSelected: true, secrets: [], ...of };
}

/** What two looks found alike is there once; two things of one name get two names. */
export function distinct(proposals: readonly Proposal[]): Proposal[] {
  const kept: Proposal[] = [];
  for (const one of proposals) {
    const others = kept.filter(({ section }) => section === one.section);
    if (others.some((other) => isAlike(other, one))) continue;
    kept.push(others.some(({ name }) => name === one.name) ? renamed(one, kept) : one);
  }
  return kept;
}

function isAlike(a: Proposal, b: Proposal): boolean {
  if (a.section !== 'hosts') return JSON.stringify(a.entry) === JSON.stringify(b.entry);
  const [placeA, placeB] = [a, b].map(({ name, entry }) =>
    JSON.stringify([entry['address'] ?? name, entry['port'] ?? 22]),
  );
  return a.entry['via'] !== 'local' && placeA === placeB;
}

function renamed(one: Proposal, kept: readonly Proposal[]): Proposal {
  let number = 2;
  const taken = (name: string): boolean => kept.some((other) => other.section === one.section && other.name === name);
  while (taken(`${one.name}-${number}`)) number += 1;
  const name = `${one.name}-${number}`;
  const entry = 'id' in one.entry ? { ...one.entry, id: name } : one.entry;
  return { ...one, name, entry, text: one.text.replace(one.name, () => name) };
}

/**
 * Those that are chosen and can stand: a service needs its host, a check its host and service, and no name is used
 * twice. Returns what was dropped for it.
 */
export function standing(proposals: readonly Proposal[]): { kept: Proposal[]; dropped: string[] } {
  const chosen = proposals.filter(({ isSelected }) => isSelected);
  const names = new Set(chosen.filter(({ section }) => section === 'hosts').map(({ name }) => name));
  const kept: Proposal[] = [];
  const dropped: string[] = [];
  const seen = new Set<string>();
  for (const one of chosen.toSorted((a, b) => sections.indexOf(a.section) - sections.indexOf(b.section))) {
    const needs = [one.entry['on'], one.entry['host'], one.entry['service']].filter((name) => typeof name === 'string');
    const lacking = needs.find((name) => !names.has(name));
    const place = one.section === 'hosts' || one.section === 'services' ? 'inventory' : one.section;
    const key = `${place}/${one.name}`;
    if (seen.has(key)) dropped.push(`${one.text}: the name "${one.name}" is used already`);
    else if (lacking !== undefined && one.section !== 'hosts') dropped.push(`${one.text}: "${lacking}" is not chosen`);
    else {
      seen.add(key);
      if (one.section === 'services') names.add(one.name);
      kept.push(lacking === undefined ? one : withoutPlace(one));
    }
  }
  return { kept, dropped };
}

const sections: readonly Proposal['section'][] = ['hosts', 'services', 'discovery', 'checks'];

function withoutPlace(one: Proposal): Proposal {
  const { on: _on, ...entry } = one.entry;
  return { ...one, entry };
}
