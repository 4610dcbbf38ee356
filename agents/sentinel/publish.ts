import type { Bus } from '#bus/bus.ts';
import { Failure, messageOf } from '#bus/failure.ts';
import { agentState } from '#bus/messages/agent-state.ts';
import { finding, type Finding } from '#bus/messages/finding.ts';
import { hostState } from '#bus/messages/host-state.ts';
import { manifest } from '#bus/messages/manifest.ts';
import { type Clock, toInstant } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import type { Board } from './board.ts';
import type { SentinelStore } from './store.ts';

/** Changes within so short a time share one manifest. */
const gatherMs = 50;
const heartbeatMs = 60_000;
/** A resolved finding stays on the bus until triage was there for so long to see it... */
const seenAfterMs = 60_000;
/** ...or until nobody can want it any more: the manifest tells a triage that comes later what is over. */
const givenUpMs = 24 * 3_600_000;
/** Must match what the manifest's schema allows. */
const maximumFiring = 2_000;
/** Sequence numbers are reserved in blocks, so that an idle sentinel writes nothing. */
const sequenceBlock = 1_000;
const sequenceCounter = 'manifest';

interface PublisherOptions {
  bus: Bus;
  store: SentinelStore;
  board: Board;
  clock: Clock;
  log: Log;
  hosts: readonly string[];
}

/** What sentinel owns on the bus. The topics are views of the store: everything is said again after each connect. */
export class Publisher {
  readonly #options: PublisherOptions;
  /** Resolved findings whose topic is still kept, and since when the bus has them. */
  readonly #resolved = new Map<string, { finding: Finding; toldAt: number | undefined }>();
  readonly #hostStates = new Map<string, string>();
  #triageSince: number | undefined;
  #sequence: number;
  #reserved: number;
  #cancelManifest: (() => void) | undefined;
  #cancelHeartbeat: () => void = () => undefined;
  #isStopped = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#sequence = options.store.counter(sequenceCounter);
    this.#reserved = this.#sequence;
    for (const stored of options.store.findings()) {
      if (stored.status === 'resolved') this.#resolved.set(stored.fingerprint, { finding: stored, toldAt: undefined });
    }
  }

  /** Resolved findings that wait until they were seen. */
  get unseen(): number {
    return this.#resolved.size;
  }

  start(): void {
    const { bus, clock } = this.#options;
    // Topics that an earlier life left behind and the store does not know.
    bus.subscribe(finding, (_payload, { id, retained }) => {
      if (retained && !this.#owns(id)) bus.clear(finding, id);
    });
    bus.subscribe(hostState, (_payload, { id, retained }) => {
      if (retained && !this.#options.hosts.includes(id)) bus.clear(hostState, id);
    });
    bus.subscribe(agentState, ({ agent, state }) => {
      if (agent !== 'triage') return;
      if (state === 'offline') this.#triageSince = undefined;
      else this.#triageSince ??= clock.now();
    });
    // A listener of the bus cannot be taken back, so it asks.
    bus.onConnect(() => {
      if (!this.#isStopped) this.#republish();
    });
    this.#beat();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelHeartbeat();
    this.#cancelManifest?.();
    this.#cancelManifest = undefined;
  }

  /** Says one finding, and soon after what is firing now. Contract: it is stored. */
  tell(changed: Finding): void {
    if (changed.status === 'firing') this.#resolved.delete(changed.fingerprint);
    else this.#resolved.set(changed.fingerprint, { finding: changed, toldAt: this.#now() });
    this.#publish(changed);
    this.changed();
  }

  /** Something countable changed: one manifest for all that changes together. */
  changed(): void {
    if (this.#isStopped) return;
    this.#cancelManifest ??= this.#options.clock.after(gatherMs, () => {
      this.#cancelManifest = undefined;
      this.#publishManifest();
      this.#publishHosts();
    });
  }

  #owns(fingerprint: string): boolean {
    return this.#resolved.has(fingerprint) || this.#options.board.isFiring(fingerprint);
  }

  /** The time, when the bus can take something now. */
  #now(): number | undefined {
    return this.#options.bus.connected ? this.#options.clock.now() : undefined;
  }

  #republish(): void {
    for (const kept of this.#resolved.values()) {
      this.#publish(kept.finding);
      kept.toldAt = this.#now();
    }
    for (const firing of this.#options.board.firing()) this.#publish(firing);
    this.#hostStates.clear();
    this.#publishHosts();
    this.#publishManifest();
  }

  #beat(): void {
    this.#forgetSeen();
    if (this.#options.bus.connected) {
      this.#publishManifest();
      this.#publishHosts();
    }
    this.#cancelHeartbeat = this.#options.clock.after(heartbeatMs, () => this.#beat());
  }

  #forgetSeen(): void {
    const { bus, store, clock } = this.#options;
    if (!bus.connected) return;
    const now = clock.now();
    for (const [fingerprint, { finding: resolved, toldAt }] of this.#resolved) {
      const since = toldAt === undefined || this.#triageSince === undefined ? now : Math.max(toldAt, this.#triageSince);
      const isOld = now - Date.parse(resolved.updatedAt) >= givenUpMs;
      if (now - since < seenAfterMs && !isOld) continue;
      this.#resolved.delete(fingerprint);
      bus.clear(finding, fingerprint);
      this.#guard(() => store.forgetFinding(fingerprint));
    }
  }

  #publish(changed: Finding): void {
    this.#guard(() => this.#options.bus.publish(finding, changed));
  }

  #publishManifest(): void {
    const { bus, board, clock, log } = this.#options;
    const firing = board.firing();
    if (firing.length > maximumFiring) log.warn({ firing: firing.length }, 'more is firing than a manifest can name');
    this.#guard(() => {
      bus.publish(manifest, {
        sentinel: bus.agent,
        sequence: this.#nextSequence(),
        at: toInstant(clock.now()),
        firing: firing.slice(0, maximumFiring).map(({ fingerprint, occurrence }) => ({ fingerprint, occurrence })),
        ...board.count(),
      });
    });
  }

  #publishHosts(): void {
    const { bus, board, clock } = this.#options;
    for (const state of board.hostStates()) {
      const text = JSON.stringify(state);
      if (this.#hostStates.get(state.host) === text) continue;
      this.#hostStates.set(state.host, text);
      bus.publish(hostState, { ...state, at: toInstant(clock.now()) });
    }
  }

  /** Grows for ever, over restarts too, with gaps where a process ended. */
  #nextSequence(): number {
    this.#sequence += 1;
    if (this.#sequence > this.#reserved) {
      this.#reserved = this.#sequence + sequenceBlock;
      this.#options.store.setCounter(sequenceCounter, this.#reserved);
    }
    return this.#sequence;
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#options.log.error({ reason: messageOf(error) }, 'sentinel cannot say what it knows');
    }
  }
}
