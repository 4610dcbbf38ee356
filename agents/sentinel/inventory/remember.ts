import type { Discovered, Thing } from './source.ts';
import { oneLine } from '../probes/text.ts';

/** A thing with when its source told of it. */
export interface KnownThing extends Thing {
  /** Epoch ms. */
  seenAt: number;
  /** Its source answered since and told no more of it. */
  missingSince?: number;
}

/** What one source is known to have said. JSON, as it is stored. */
export interface Said {
  /** When it last answered; undefined when it never did. */
  answeredAt?: number;
  /** Why the last look brought nothing. */
  trouble?: string;
  notes: string[];
  things: KnownThing[];
}

/** What is gone is reported for so long before it is forgotten. */
const forgottenAfterMs = 30 * 86_400_000;
const maximumThings = 1_500;
const maximumNotes = 20;

export const nothingSaid: Said = { notes: [], things: [] };

/**
 * What is known of a source after another answer. Silence takes nothing away; what an answer leaves out is missing since
 * then, and forgotten after 30 days.
 */
export function remember(before: Said, answer: Discovered, now: number): Said {
  if (answer.is === 'silent') return { ...before, trouble: oneLine(answer.reason, 300) };
  const kept = answer.things.slice(0, maximumThings).map((thing): KnownThing => ({ ...bounded(thing), seenAt: now }));
  const told = new Set(kept.map(({ id }) => id));
  const gone = before.things
    .filter(({ id }) => !told.has(id))
    .map((thing) => ({ ...thing, missingSince: thing.missingSince ?? now }));
  const reported = gone.filter(({ missingSince }) => now - missingSince < forgottenAfterMs);
  const notes = answer.notes.slice(0, maximumNotes - 1).map((note) => oneLine(note, 300));
  if (answer.things.length > maximumThings)
    notes.push(`it told of more than the ${maximumThings} things that are kept`);
  return { answeredAt: now, notes, things: [...kept, ...reported].slice(0, maximumThings) };
}

/** Foreign text, cut to what the bus takes. */
function bounded(thing: Thing): Thing {
  const { address, on, labels, services } = thing;
  return {
    id: oneLine(thing.id, 200),
    name: oneLine(thing.name, 200),
    type: thing.type,
    ...(address !== undefined && { address: oneLine(address, 200) }),
    ...(on !== undefined && { on: oneLine(on, 200) }),
    ...(labels !== undefined && { labels: boundedLabels(labels) }),
    ...(services !== undefined && { services: services.slice(0, 20).map((service) => oneLine(service, 90)) }),
  };
}

function boundedLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(labels).filter(([name]) => /^[a-zA-Z_][a-zA-Z0-9_]{0,60}$/.test(name));
  return Object.fromEntries(entries.slice(0, 12).map(([name, value]) => [name, oneLine(value, 200)]));
}
