import { compareSeverity } from '#bus/fields.ts';
import type { Observation } from './check.ts';
import { judge, unseenReason } from './judge.ts';
import { calm, type Look } from './state.ts';
import { keyOf, type Watch } from './tracks.ts';

/** More resources than one check may report. */
const maximumSightings = 5_000;

export interface Sightings {
  /** What the look says of each condition of each resource, by the key of its track. */
  seen: ReadonlyMap<string, Observation>;
  /** How many more there were than one check may report. What is sick or known is never among them. */
  left: number;
}

/**
 * One word for each condition of each resource. Contract: a product that lists one thing twice, in whatever order, is
 * believed the worse of the two words, and that nobody could look at one of them counts before that the other is well.
 */
export function sightingsOf(watch: Watch, observations: readonly Observation[]): Sightings {
  const byKey = new Map<string, Ranked>();
  for (const observation of observations) {
    const key = keyOf('problem', observation.condition, observation.resource);
    const ranked = rank(watch, key, observation);
    const other = byKey.get(key);
    if (other === undefined || compare(ranked, other) > 0) byKey.set(key, ranked);
  }
  const left = Math.max(0, byKey.size - maximumSightings);
  const kept = left === 0 ? [...byKey] : foremost(watch, byKey);
  return { seen: new Map(kept.map(([key, { observation }]) => [key, observation])), left };
}

interface Ranked {
  observation: Observation;
  look: Look;
  /** How much it counts against another word on the same thing: sick, not seen, asleep, well. */
  weight: 3 | 2 | 1 | 0;
}

/** By the state of its track: a level between its thresholds is sick only while it was. */
function rank({ check, tracks }: Watch, key: string, observation: Observation): Ranked {
  const { reading } = observation;
  const look = judge(reading, tracks.get(key)?.state ?? calm, check.config.severity);
  if (look.is === 'bad') return { observation, look, weight: 3 };
  if (unseenReason(reading) !== undefined) return { observation, look, weight: 2 };
  return { observation, look, weight: reading.is === 'asleep' ? 1 : 0 };
}

/** Above zero when `a` counts. The last word is that of the texts, so that the order of a list never changes a finding. */
function compare(a: Ranked, b: Ranked): number {
  if (a.weight !== b.weight) return a.weight - b.weight;
  const bySeverity = a.look.is === 'bad' && b.look.is === 'bad' ? compareSeverity(a.look.severity, b.look.severity) : 0;
  if (bySeverity !== 0) return bySeverity;
  const byValue = excess(a.observation) - excess(b.observation);
  if (byValue !== 0 && !Number.isNaN(byValue)) return byValue;
  return a.observation.summary < b.observation.summary ? 1 : -1;
}

function excess({ reading }: Observation): number {
  if (reading.is !== 'level') return 0;
  return reading.bad === 'above' ? reading.value : -reading.value;
}

function foremost({ tracks }: Watch, byKey: ReadonlyMap<string, Ranked>): [string, Ranked][] {
  const urgency = ([key, { weight }]: [string, Ranked]): number => {
    const track = tracks.get(key);
    if (weight === 3 || (track !== undefined && track.state !== calm)) return 2;
    return track === undefined ? 0 : 1;
  };
  return [...byKey].toSorted((a, b) => urgency(b) - urgency(a)).slice(0, maximumSightings);
}
