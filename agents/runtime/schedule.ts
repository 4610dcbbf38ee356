import { createHash } from 'node:crypto';
import { Failure, messageOf } from '#bus/failure.ts';
import { nextCronRun } from '#config/cron.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

/** When a job runs. Intervals know no time zone; a cron expression has one. */
export type Timing = { everyMs: number; jitterMs?: number } | { cron: string; timezone: string };

export interface ScheduledJob {
  /** Unique in its schedule; also the seed of the job's place in the interval and of its jitter. */
  id: string;
  timing: Timing;
  /** Contract: ends soon after the signal aborts. A Failure is logged and the job goes on; anything else is a bug. */
  run(signal: AbortSignal): Promise<void>;
  /** When it last ran (epoch ms). A cron job that missed a run since then makes it up once, soon after it is added. */
  lastRunAt?: number;
  /** Told each time the next run is decided, epoch ms. */
  onScheduled?(nextAt: number): void;
}

export interface JobHandle {
  /**
   * Runs the job now and resolves when that run ended. While it runs already, one more run follows: what was seen
   * before the trigger does not count. Rejects only for a bug in the job.
   */
  trigger(): Promise<void>;
  /** No further run begins; a running one is aborted. */
  remove(): void;
}

/** Runs jobs on time: each never overlaps itself, misses are not repeated, and times do not drift. */
export interface Schedule {
  add(job: ScheduledJob): JobHandle;
  /** Aborts what runs and resolves when all of it ended. */
  stop(): Promise<void>;
}

interface ScheduleOptions {
  clock: Clock;
  log: Log;
  /** Called with a bug in a job that the schedule started. Default: thrown at the top, which ends the process. */
  onBug?: (error: unknown) => void;
}

/** How far apart the first runs of jobs that are added together are spread, for each job. */
const spreadPerJobMs = 1_000;
/** Timers stand still while a machine sleeps or a VM is paused; looking again bounds how late a run gets. */
const longestWaitMs = 300_000;

export function createSchedule(options: ScheduleOptions): Schedule {
  const jobs = new Map<string, JobRunner>();
  let isStopped = false;
  return {
    add(job) {
      if (jobs.has(job.id)) throw new TypeError(`Cannot schedule "${job.id}" twice`);
      const runner = new JobRunner(job, options, (jobs.size + 1) * spreadPerJobMs);
      if (isStopped) runner.abort();
      else jobs.set(job.id, runner);
      runner.start();
      return {
        trigger: () => runner.trigger(),
        remove() {
          if (jobs.get(job.id) === runner) jobs.delete(job.id);
          runner.abort();
        },
      };
    },
    async stop() {
      isStopped = true;
      const runners = [...jobs.values()];
      jobs.clear();
      for (const runner of runners) runner.abort();
      await Promise.all(runners.map((runner) => runner.idle()));
    },
  };
}

class JobRunner {
  readonly #job: ScheduledJob;
  readonly #options: ScheduleOptions;
  readonly #plan: RunPlan;
  readonly #controller = new AbortController();
  #cancelTimer: () => void = () => undefined;
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;
  #nextAt = Number.POSITIVE_INFINITY;

  constructor(job: ScheduledJob, options: ScheduleOptions, spreadMs: number) {
    this.#job = job;
    this.#options = options;
    this.#plan = planOf(job, { nowMs: options.clock.now(), spreadMs });
  }

  start(): void {
    this.#decide(this.#plan.firstAt);
  }

  abort(): void {
    this.#cancelTimer();
    this.#controller.abort(
      new Failure(`Cannot go on with "${this.#job.id}": its schedule stops`, { recoverable: true }),
    );
  }

  async idle(): Promise<void> {
    await Promise.allSettled([this.#running, this.#queued]);
  }

  trigger(): Promise<void> {
    if (this.#running === undefined) return this.#run();
    // A failed run was reported to whoever started it.
    this.#queued ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#queued = undefined;
        return this.#run();
      });
    return this.#queued;
  }

  #decide(nextAt: number): void {
    if (this.#controller.signal.aborted) return;
    this.#nextAt = nextAt;
    if (nextAt === Number.POSITIVE_INFINITY) return;
    this.#job.onScheduled?.(nextAt);
    this.#arm();
  }

  #arm(): void {
    const left = this.#nextAt - this.#options.clock.now();
    this.#cancelTimer = this.#options.clock.after(Math.min(left, longestWaitMs), () => this.#tick());
  }

  async #tick(): Promise<void> {
    if (this.#controller.signal.aborted) return;
    const now = this.#options.clock.now();
    if (now < this.#nextAt) {
      // A clock that was set back brings times that come before the one that was waited for.
      this.#nextAt = Math.min(this.#nextAt, this.#plan.nextAfter(now));
      this.#arm();
      return;
    }
    try {
      // A triggered run that is under way counts as this one.
      await (this.#running ?? this.#run());
    } catch (error) {
      (this.#options.onBug ?? crash)(error);
    }
    this.#decide(this.#plan.nextAfter(this.#options.clock.now()));
  }

  #run(): Promise<void> {
    if (this.#controller.signal.aborted) return Promise.resolve();
    const run = this.#attempt().finally(() => {
      if (this.#running === run) this.#running = undefined;
    });
    this.#running = run;
    return run;
  }

  async #attempt(): Promise<void> {
    const { signal } = this.#controller;
    try {
      await this.#job.run(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Failure)) throw error;
      this.#options.log.warn({ job: this.#job.id, reason: messageOf(error) }, 'a scheduled job failed');
    }
  }
}

/** Out of every promise and callback: an uncaught exception, as for any other bug. */
function crash(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

interface RunPlan {
  firstAt: number;
  /** The next run after `now`; those missed in between are left out. */
  nextAfter(nowMs: number): number;
}

function planOf(job: ScheduledJob, at: { nowMs: number; spreadMs: number }): RunPlan {
  const { timing } = job;
  if ('everyMs' in timing) {
    if (!(timing.everyMs > 0)) throw new TypeError(`Cannot schedule "${job.id}" every ${timing.everyMs} ms`);
    return intervalPlan(job.id, timing, at);
  }
  const { cron, timezone } = timing;
  const isMissed = job.lastRunAt !== undefined && nextCronRun(cron, timezone, job.lastRunAt) <= at.nowMs;
  const soon = at.nowMs + Math.floor(fractionOf(job.id) * at.spreadMs);
  const next = nextCronRun(cron, timezone, at.nowMs);
  return {
    firstAt: isMissed ? Math.min(soon, next) : next,
    nextAfter: (nowMs) => nextCronRun(cron, timezone, nowMs),
  };
}

function intervalPlan(
  id: string,
  timing: { everyMs: number; jitterMs?: number },
  at: { nowMs: number; spreadMs: number },
): RunPlan {
  const { everyMs, jitterMs = 0 } = timing;
  let anchor = at.nowMs + Math.floor(fractionOf(id) * Math.min(everyMs, at.spreadMs));
  const jitter = (turn: number): number => Math.floor(fractionOf(`${id}\0${turn}`) * Math.min(jitterMs, everyMs));
  return {
    firstAt: anchor,
    nextAfter(nowMs) {
      // The clock was set back: a new series begins.
      if (nowMs < anchor - everyMs) anchor = nowMs;
      const turn = Math.floor((nowMs - anchor) / everyMs) + 1;
      return anchor + turn * everyMs + jitter(turn);
    },
  };
}

/** 0 to 1, the same for the same text in every process. */
function fractionOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
}
