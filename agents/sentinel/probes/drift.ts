import { createHash } from 'node:crypto';
import type { CheckMemory } from '#agents/sentinel/check.ts';
import { remember } from './remembered.ts';

/** What differs from the usual state. `was` undefined: it is new; `is` undefined: it is gone. */
export interface Change {
  name: string;
  was?: string;
  is?: string;
  /** Epoch ms of the look that saw it first. */
  since: number;
  /** What was known of it at that look. */
  note: string;
}

export interface Drift {
  /** The first look: what is there became the usual state. */
  isFirst: boolean;
  changes: Change[];
}

interface Entry {
  since: number;
  is: string | null;
  note: string;
}

interface DriftMemory {
  usual: Record<string, string>;
  changed: Record<string, Entry>;
}

/** Of the 64 kB of a check's memory, with room for what else it keeps. */
const defaultMaximumBytes = 50_000;
const longestValue = 40;
const noteLength = 120;

/**
 * Compares what is there with what usually is. The first look is the usual state; a difference counts as a change until
 * it is undone or has stayed for `quietAfterMs` (0: for ever), when it becomes usual. Undefined when there is more than a
 * check may remember: then nothing was compared.
 */
export function driftOf(
  memory: CheckMemory,
  key: string,
  now: Now & { values: ReadonlyMap<string, string>; maximumBytes?: number },
): Drift | undefined {
  const values = new Map([...now.values].map(([name, value]) => [name, compact(value)]));
  const limit = now.maximumBytes ?? defaultMaximumBytes;
  const before = memory.get(key);
  if (!isDriftMemory(before)) {
    const first: DriftMemory = { usual: Object.fromEntries(values), changed: {} };
    if (sizeOf(first) > limit) return undefined;
    remember(memory, key, first);
    return { isFirst: true, changes: [] };
  }
  const after = compare(before, values, now);
  if (sizeOf(after) > limit) return undefined;
  remember(memory, key, after);
  return { isFirst: false, changes: changesOf(after) };
}

interface Now {
  at: number;
  quietAfterMs: number;
  noteOf?: (name: string) => string;
}

function compare(before: DriftMemory, values: ReadonlyMap<string, string>, now: Now): DriftMemory {
  const usual = new Map(Object.entries(before.usual));
  const known = new Map(Object.entries(before.changed));
  const changed = new Map<string, Entry>();
  for (const name of new Set([...usual.keys(), ...values.keys()])) {
    const is = values.get(name) ?? null;
    if (is === (usual.get(name) ?? null)) continue;
    const entry = entryOf(known.get(name), { name, is }, now);
    const hasSettled = now.quietAfterMs > 0 && now.at - entry.since >= now.quietAfterMs;
    if (!hasSettled) changed.set(name, entry);
    else if (is === null) usual.delete(name);
    else usual.set(name, is);
  }
  return { usual: Object.fromEntries(usual), changed: Object.fromEntries(changed) };
}

/** A second change of the same thing begins anew. */
function entryOf(earlier: Entry | undefined, found: { name: string; is: string | null }, now: Now): Entry {
  if (earlier !== undefined && earlier.is === found.is && earlier.since <= now.at) return earlier;
  return { since: now.at, is: found.is, note: (now.noteOf?.(found.name) ?? '').slice(0, noteLength) };
}

function changesOf(memory: DriftMemory): Change[] {
  const usual = new Map(Object.entries(memory.usual));
  return Object.entries(memory.changed)
    .toSorted(([a, one], [b, other]) => one.since - other.since || (a < b ? -1 : 1))
    .map(([name, { since, is, note }]) => {
      const was = usual.get(name);
      return { name, since, note, ...(was !== undefined && { was }), ...(is !== null && { is }) };
    });
}

/** Short values stay readable, long ones become a digest of 72 bits. */
function compact(value: string): string {
  return value.length <= longestValue ? value : `#${digestOf(value)}`;
}

export function digestOf(value: string): string {
  return createHash('sha256').update(value).digest('base64url').slice(0, 12);
}

function sizeOf(memory: DriftMemory): number {
  return Buffer.byteLength(JSON.stringify(memory));
}

function isDriftMemory(value: unknown): value is DriftMemory {
  return (
    value !== null &&
    typeof value === 'object' &&
    'usual' in value &&
    value.usual !== null &&
    typeof value.usual === 'object' &&
    'changed' in value &&
    value.changed !== null &&
    typeof value.changed === 'object'
  );
}
