import type { Bus } from '#bus/bus.ts';
import type { JournalHead } from '#bus/journal.ts';
import type { Config } from '#config/schema.ts';
import type { Inventory } from '#config/inventory.ts';
import type { People } from '#config/people.ts';
import type { Clock } from './clock.ts';
import type { HttpSurface } from './http.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** What the composer hands to every agent. An agent opens its own store and connects to nothing else by itself. */
export interface AgentContext {
  config: Config;
  /** What relative paths in the configuration are relative to. */
  baseFolder: string;
  inventory: Inventory;
  /** Folder for the agent's state, private to the user who runs it. */
  stateFolder: string;
  /** Folder with signing keys, the journal key and generated passwords, shared by the agents of one machine. */
  keysFolder: string;
  /** Who may read, operate and approve; re-read when the pairing file changes. */
  people: People;
  bus: Bus;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  http: HttpSurface;
}

/** Started in order, stopped in reverse. Contract: `start` returns once the agent works; `stop` loses nothing. */
export interface Agent {
  readonly name: 'sentinel' | 'triage' | 'remediation';
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Head of its journal, for the others to remember. */
  journalHead(): JournalHead;
  /** Lengths of its queues, for health messages and metrics. */
  queues(): Record<string, number>;
}
