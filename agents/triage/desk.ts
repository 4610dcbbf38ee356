import type { Json } from '#bus/canonical.ts';
import type { Config } from '#config/schema.ts';
import type { Inventory } from '#config/inventory.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import { type IncidentEvent, type IncidentRecord, advance } from './incident/incident.ts';
import type { Outbox } from './notify/outbox.ts';
import type { TriageStore } from './store.ts';
import { World } from './world.ts';

interface DeskOptions {
  store: TriageStore;
  outbox: Outbox;
  clock: Clock;
  log: Log;
  config: Config;
  inventory: Inventory;
  /** Runs at the end of each transaction, inside it: grouping, deadlines, messages. */
  settle: (desk: Desk) => void;
  /** Runs at the beginning of the first transaction, and of one before which the clock was set back. */
  pullBack: (desk: Desk) => void;
  /** Told after the commit which incidents changed. */
  changed: (incidents: readonly IncidentRecord[]) => void;
}

/**
 * Where everything that changes an incident happens, one transaction at a time: the change, its timeline, its journal
 * entry and the messages that follow from it are committed together or not at all.
 */
export class Desk {
  readonly store: TriageStore;
  readonly outbox: Outbox;
  readonly config: Config;
  readonly inventory: Inventory;
  readonly world: World;
  readonly log: Log;
  /** Incidents whose record, card or message must be written again. */
  readonly dirty = new Set<string>();
  /** Fingerprints that changed since the last grouping. */
  readonly moved = new Set<string>();
  readonly #options: DeskOptions;
  /** True in the transaction that looks at every deadline. */
  isTick = false;
  #after: (() => void)[] = [];
  /** When the last transaction began. */
  #seenAt = Number.POSITIVE_INFINITY;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.store = options.store;
    this.outbox = options.outbox;
    this.config = options.config;
    this.inventory = options.inventory;
    this.log = options.log;
    this.world = new World(options.store, options.clock.now());
  }

  get now(): number {
    return this.#options.clock.now();
  }

  /** Contract: synchronous. When it throws, nothing happened and memory is as the store. */
  transact<T>(work: () => T): T {
    let result: T;
    try {
      result = this.store.rows.transaction(() => {
        if (this.now < this.#seenAt) this.#options.pullBack(this);
        const done = work();
        this.#options.settle(this);
        return done;
      });
    } catch (error) {
      this.dirty.clear();
      this.moved.clear();
      this.#after = [];
      this.world.reload(this.now);
      throw error;
    }
    this.#seenAt = this.now;
    const changed = [...this.dirty].flatMap((id) => this.world.incident(id) ?? []);
    this.dirty.clear();
    // People come first: the bus and the assessment can wait the milliseconds that a message needs to be on its way.
    this.outbox.wake();
    this.#options.changed(changed);
    for (const effect of this.#after.splice(0)) effect();
    return result;
  }

  /** Looks at every deadline. */
  tick(): void {
    this.world.forget(this.now);
    this.isTick = true;
    try {
      this.transact(() => undefined);
    } finally {
      this.isTick = false;
    }
  }

  /** Runs once the transaction is committed: what leaves the process. */
  afterCommit(effect: () => void): void {
    this.#after.push(effect);
  }

  add(incident: IncidentRecord): void {
    this.world.incidents.set(incident.id, incident);
    this.dirty.add(incident.id);
    this.#record(incident, 'began', incident.title);
  }

  /** Applies an event; the record before it when the event does not fit its state. */
  change(id: string, event: IncidentEvent): IncidentRecord | undefined {
    const before = this.world.incident(id);
    if (before === undefined) return undefined;
    const now = this.now;
    const after = advance(before, event, now);
    if (after === before) return before;
    this.world.incidents.set(id, after);
    this.dirty.add(id);
    const said = after.news.at(-1);
    if (said !== before.news.at(-1) && said !== undefined) this.#record(after, event.type, said.text);
    else if (after.state !== before.state) this.#record(after, after.state, after.title);
    return after;
  }

  #record(incident: IncidentRecord, kind: string, text: string): void {
    const at = this.now;
    this.store.incidents.addTimeline(incident.id, { at, kind, text });
    this.journal('incident', incident.id, { event: kind, state: incident.state, root: incident.root, text });
  }

  journal(kind: string, subject: string, body: { [key: string]: Json }): void {
    this.store.journal.append({ at: this.now, kind, subject, body });
  }
}
