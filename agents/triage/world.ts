import { compareSeverity } from '#bus/fields.ts';
import type { Finding } from '#bus/messages/finding.ts';
import { type Clue, clueOf } from './incident/clue.ts';
import { type IncidentRecord, isOver } from './incident/incident.ts';
import type { Held } from './intake/reconcile.ts';
import type { TriageStore } from './store.ts';

/** A resolved or closed incident that fires again so soon is the same incident. */
export const reopenWindowMs = 10 * 60_000;
/** How long what is over stays in memory; older findings are looked up in the store. */
const memoryMs = 60 * 60_000;

/** What is not said is normal. */
const weights: Readonly<Record<string, number>> = { high: 1, low: -1 };

interface KnownFinding {
  held: Held;
  clue: Clue;
}

/** The present picture in memory: what fires, what is open. A view of the store, read again whenever in doubt. */
export class World {
  readonly findings = new Map<string, KnownFinding>();
  readonly incidents = new Map<string, IncidentRecord>();
  readonly #store: TriageStore;

  constructor(store: TriageStore, now: number) {
    this.#store = store;
    this.reload(now);
  }

  reload(now: number): void {
    this.findings.clear();
    this.incidents.clear();
    for (const { held, finding } of this.#store.findings.load(now - memoryMs)) this.remember(held, finding);
    for (const incident of this.#store.incidents.load(now - reopenWindowMs)) this.incidents.set(incident.id, incident);
  }

  remember(held: Held, finding: Finding): void {
    this.findings.set(finding.fingerprint, { held, clue: clueOf(finding) });
  }

  /** Changes what is held of a known finding; undefined when there is none. */
  amend(fingerprint: string, change: Partial<Held>): Held | undefined {
    const known = this.findings.get(fingerprint);
    if (known === undefined) return undefined;
    const held = { ...known.held, ...change };
    this.findings.set(fingerprint, { ...known, held });
    return held;
  }

  /** From memory, or from the store when it was over long ago. */
  held(fingerprint: string): Held | undefined {
    return this.findings.get(fingerprint)?.held ?? this.#store.findings.newest(fingerprint)?.held;
  }

  /** From memory, or from the store when it was closed long ago. */
  incident(id: string): IncidentRecord | undefined {
    return this.incidents.get(id) ?? this.#store.incidents.get(id);
  }

  /** What people have to care about: the worst first, then what matters most to them, then what is oldest. */
  open(): IncidentRecord[] {
    return [...this.incidents.values()]
      .filter((incident) => !isOver(incident))
      .toSorted(
        (a, b) =>
          compareSeverity(b.severity, a.severity) || this.#weightOf(b) - this.#weightOf(a) || a.startsAt - b.startsAt,
      );
  }

  #weightOf({ root }: IncidentRecord): number {
    return weights[this.findings.get(root)?.clue.labels['criticality'] ?? ''] ?? 0;
  }

  /** By id, or the only open one that begins so; without an id the only open one. */
  matching(text: string): IncidentRecord | undefined {
    const wanted = text.trim().toLowerCase();
    const [first, ...others] = this.open().filter((incident) => incident.id.startsWith(wanted));
    if (first !== undefined && others.length === 0) return first;
    return wanted === '' ? undefined : this.incident(wanted);
  }

  /** What counts for grouping. */
  firing(): Clue[] {
    const clues: Clue[] = [];
    for (const { held, clue } of this.findings.values()) {
      if (held.status === 'firing' && held.settledAt === undefined) clues.push(clue);
    }
    return clues;
  }

  forget(now: number): void {
    for (const [fingerprint, { held }] of this.findings) {
      if (held.status === 'resolved' && held.updatedAt < now - memoryMs) this.findings.delete(fingerprint);
    }
    for (const [id, incident] of this.incidents) {
      if (incident.state === 'closed' && (incident.closedAt ?? 0) < now - reopenWindowMs) this.incidents.delete(id);
    }
  }
}
