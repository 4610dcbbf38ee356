import { Failure, messageOf } from '#bus/failure.ts';
import { machineZone } from '#config/time-zone.ts';
import { Limiter } from '#agents/runtime/limiter.ts';
import type { Metrics } from '#agents/runtime/metrics.ts';
import { createSchedule, type JobHandle, type Schedule } from '#agents/runtime/schedule.ts';
import type { Observation } from './check.ts';
import { type LookOptions, observe, whole } from './look.ts';
import type { Memories } from './memory.ts';
import type { BoundCheck } from './registry.ts';
import type { LookResult } from './tracks.ts';

/** More at once would load a small host with being watched. */
const looksPerHost = 4;
/**
 * Looks from outside cost the host little and take longest when it is dead: with few at once, a host with many checks
 * would be looked at so rarely that nothing of it ever holds for long enough to fire.
 */
const looksFromOutsidePerHost = 16;
const looksInAll = 64;
/** When the guardians go their first round after a start, and over how long it is spread. */
const guardiansAfterMs = 60_000;
const guardiansWithinMs = 5 * 60_000;
/** Spreads checks of one interval over a tenth of it. */
const jitterShare = 0.1;

interface RunnerOptions extends LookOptions {
  checks: readonly BoundCheck[];
  memories: Memories;
  metrics: Metrics;
  /** What stands for a look that is not tried now: it cannot succeed, or its host is asleep. */
  insteadOfLooking: (check: BoundCheck) => Observation | undefined;
  /** Has the last word on what was seen before it counts. */
  review: (check: BoundCheck, observations: Observation[]) => Promise<Observation[]>;
  onLook: (check: BoundCheck, result: LookResult, memory: string | undefined) => void;
  /** When a check that is not settled wants its next look, from now; undefined leaves it to the schedule. */
  followUpMs: (check: BoundCheck) => number | undefined;
}

interface Entry {
  check: BoundCheck;
  handle?: JobHandle;
  /** Asked for: the next run looks however fresh the last result is. */
  isWanted: boolean;
  lingering?: Promise<unknown>;
  last?: LookResult;
  dueAt?: number;
  cancelFollowUp?: () => void;
}

/** Looks on time: no check overlaps itself, few at once per host, and no check can hold up or end another. */
export class Runner {
  readonly #options: RunnerOptions;
  readonly #schedule: Schedule;
  readonly #entries: Map<string, Entry>;
  readonly #limiters = {
    host: new Limiter({ perKey: looksPerHost, total: looksInAll }),
    network: new Limiter({ perKey: looksFromOutsidePerHost, total: looksInAll }),
  };
  #underWay = 0;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#schedule = createSchedule({ clock: options.clock, log: options.log });
    this.#entries = new Map(options.checks.map((check) => [check.id, { check, isWanted: false }]));
  }

  /** Looks under way or waiting for a slot. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Schedules all checks and begins the first round at once; resolves when every check of it had its first look. */
  async start(): Promise<void> {
    const entries = [...this.#entries.values()];
    for (const entry of entries) entry.handle = this.#schedule.add(this.#jobOf(entry));
    const [soon, later] = [entries.filter((entry) => !isOfRound(entry)), entries.filter(isOfRound)];
    for (const [index, entry] of later.entries()) this.#beginLater(entry, index / later.length);
    await Promise.all(soon.map((entry) => this.#trigger(entry)));
  }

  /** The rounds of guardians are heavy and rare: nobody waits for them at the start, and they begin one after the other. */
  #beginLater(entry: Entry, share: number): void {
    const afterMs = guardiansAfterMs + Math.floor(share * guardiansWithinMs);
    entry.cancelFollowUp = this.#options.clock.after(afterMs, () => this.#trigger(entry));
  }

  /** Looks now; a look already under way does not count, because it may have begun before the question. */
  async lookNow(id: string): Promise<LookResult> {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new Failure(`Cannot look: there is no check "${id}"`, { recoverable: false });
    await this.#trigger(entry);
    if (entry.last === undefined) throw new Failure(`Cannot look: check "${id}" was stopped`, { recoverable: true });
    return entry.last;
  }

  async stop(): Promise<void> {
    for (const entry of this.#entries.values()) entry.cancelFollowUp?.();
    await this.#schedule.stop();
  }

  async #trigger(entry: Entry): Promise<void> {
    entry.isWanted = true;
    await entry.handle?.trigger();
  }

  #jobOf(entry: Entry): Parameters<Schedule['add']>[0] {
    const { config, intervalMs, id } = entry.check;
    return {
      id,
      timing:
        config.cron === undefined
          ? { everyMs: intervalMs, jitterMs: Math.floor(intervalMs * jitterShare) }
          : { cron: config.cron, timezone: config.timezone ?? machineZone() },
      run: (signal) => this.#run(entry, signal),
      onScheduled(nextAt) {
        entry.dueAt = nextAt;
      },
    };
  }

  async #run(entry: Entry, signal: AbortSignal): Promise<void> {
    this.#measureSlip(entry);
    // A result so fresh is as good as another look: the first round and follow-ups do not double the load.
    const age = this.#options.clock.now() - (entry.last?.at ?? Number.NEGATIVE_INFINITY);
    if (!entry.isWanted && age < entry.check.intervalMs / 4) return;
    entry.isWanted = false;
    this.#underWay += 1;
    try {
      const { reach } = entry.check.definition;
      await this.#limiters[reach].run(turnOf(entry.check), () => this.#look(entry, signal), signal);
    } finally {
      this.#underWay -= 1;
    }
    this.#followUp(entry);
  }

  async #look(entry: Entry, signal: AbortSignal): Promise<void> {
    const { check } = entry;
    const { clock, memories } = this.#options;
    const startedAt = clock.now();
    const kept = memories.openFor(check.id);
    const seen = await this.#observe(entry, { memory: kept.memory, signal, isFirst: entry.last === undefined });
    const observations = await this.#options.review(check, seen);
    const at = clock.now();
    const result: LookResult = { at, tookMs: at - startedAt, observations };
    entry.last = result;
    this.#measure(check, result);
    this.#options.onLook(check, result, this.#memoryText(kept));
  }

  async #observe(entry: Entry, of: Parameters<typeof observe>[2]): Promise<Observation[]> {
    const { check } = entry;
    const instead = this.#options.insteadOfLooking(check);
    if (instead !== undefined) return [instead];
    if (entry.lingering !== undefined) return [whole(check, 'the look before has not ended yet')];
    const { observations, lingering } = await observe(check, this.#options, of);
    entry.lingering = lingering;
    void lingering.then(() => delete entry.lingering);
    return observations;
  }

  #memoryText(kept: ReturnType<Memories['openFor']>): string | undefined {
    try {
      return kept.changed();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#options.log.error({ reason: messageOf(error) }, 'a check keeps too much');
      return undefined;
    }
  }

  #followUp(entry: Entry): void {
    entry.cancelFollowUp?.();
    delete entry.cancelFollowUp;
    const afterMs = this.#options.followUpMs(entry.check);
    if (afterMs === undefined) return;
    entry.cancelFollowUp = this.#options.clock.after(afterMs, () => this.#trigger(entry));
  }

  #measure(check: BoundCheck, result: LookResult): void {
    const { metrics } = this.#options;
    const words = result.observations.map(({ reading }) => reading.is);
    const kind = { kind: check.kind };
    metrics.count('checks_total', 'Looks by kind and result.', {
      labels: { ...kind, result: words.length > 0 && words.every((word) => word === 'unknown') ? 'unknown' : 'seen' },
    });
    metrics.count('check_seconds_total', 'Time spent looking.', { labels: kind, by: result.tookMs / 1_000 });
  }

  #measureSlip(entry: Entry): void {
    if (entry.dueAt === undefined || entry.isWanted) return;
    const slipMs = Math.max(0, this.#options.clock.now() - entry.dueAt);
    this.#options.metrics.gauge('schedule_slip_seconds', 'How late the last scheduled look began.', {
      value: slipMs / 1_000,
    });
  }
}

function isOfRound({ check: { config, isTried } }: Entry): boolean {
  return isTried || (config.guardian !== undefined && config.cron !== undefined);
}

/** Whose turn it takes. Whether a host is there at all waits behind nothing else of that host. */
function turnOf({ id, host, options }: BoundCheck): string {
  return host === undefined || options['condition'] === 'host-down' ? `check ${id}` : host.name;
}
