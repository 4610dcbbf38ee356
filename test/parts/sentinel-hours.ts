import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finding, finding } from '#bus/messages/finding.ts';
import { createInventory } from '#config/inventory.ts';
import { openPeople } from '#config/people.ts';
import { planChecks } from '#config/planned-checks.ts';
import { type Config, type ConfigInput, ConfigSchema } from '#config/schema.ts';
import { createLog } from '#agents/runtime/log.ts';
import { createMetrics } from '#agents/runtime/metrics.ts';
import type { CheckContext, CheckDefinition, Observation } from '#agents/sentinel/check.ts';
import type { Probes } from '#agents/sentinel/probe.ts';
import { loadKinds } from '#agents/sentinel/registry.ts';
import { createSentinel, type Sentinel } from '#agents/sentinel/sentinel.ts';
import { MemoryBus } from './memory-bus.ts';
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts';

/** One look as it happened. */
export interface Look {
  kind: string;
  reach: CheckDefinition['reach'];
  /** Name of what the check is about; unique where each check has its own. */
  resource: string;
  host: string | undefined;
  /** Virtual time, epoch ms. */
  startedAt: number;
  endedAt?: number;
  seen?: readonly Observation[];
}

export interface HoursOptions {
  config: ConfigInput;
  startAt?: number;
  /** Kinds beside those that ship. */
  kinds?: readonly CheckDefinition[];
  /** Kinds whose looks wait for the virtual clock. */
  slowKinds?: readonly string[];
  /** By default this machine and nothing else. */
  probes?: Probes;
  onLook?: (look: Look) => void;
}

/** No look takes longer, in real time, however busy this machine is. */
const longestLookMs = 60_000;
const startOfHours = Date.parse('2026-11-20T12:00:00Z');

/**
 * The real sentinel with the kinds that ship, against real targets, through hours that pass in seconds: no virtual time
 * goes by while a look waits for the network or a command.
 */
export class SentinelHours implements AsyncDisposable {
  readonly bus = new MemoryBus('sentinel');
  readonly clock: VirtualClock;
  readonly config: Config;
  readonly metrics = createMetrics();
  readonly #folder = mkdtempSync(join(tmpdir(), 'lares-hours-'));
  readonly #options: HoursOptions;
  #underWay = 0;
  #sentinel: Sentinel | undefined;

  private constructor(options: HoursOptions) {
    this.#options = options;
    this.config = ConfigSchema.parse(options.config);
    this.clock = createVirtualClock(options.startAt ?? startOfHours, {
      isBusy: () => this.#underWay > 0,
      patienceMs: longestLookMs,
    });
  }

  /** Starts it and has its first round over. */
  static async begin(options: HoursOptions): Promise<SentinelHours> {
    const hours = new SentinelHours(options);
    await hours.#start();
    return hours;
  }

  get sentinel(): Sentinel {
    if (this.#sentinel === undefined) throw new Error('Sentinel does not run');
    return this.#sentinel;
  }

  /** All that was told, in order. */
  get told(): Finding[] {
    return this.bus.of(finding) as Finding[];
  }

  /** The findings that began, whatever became of them. */
  get fired(): Finding[] {
    const first = new Map<string, Finding>();
    for (const told of this.told) if (!first.has(told.occurrence)) first.set(told.occurrence, told);
    return [...first.values()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sentinel?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const { config } = this;
    const used = new Set(planChecks(config).checks.map(({ check }) => check.kind));
    const own = new Map((this.#options.kinds ?? []).map((kind) => [kind.kind, kind]));
    const shipped = await loadKinds(used.difference(own));
    const kinds = new Map([...shipped, ...own].map(([name, kind]) => [name, this.#watched(kind)]));
    const { probes } = this.#options;
    const context = {
      config,
      baseFolder: this.#folder,
      inventory: createInventory(config),
      stateFolder: join(this.#folder, 'sentinel'),
      keysFolder: join(this.#folder, 'keys'),
      people: openPeople(config, this.#folder),
      bus: this.bus,
      clock: this.clock,
      log: createLog({ level: 'silent', name: 'hours' }),
      metrics: this.metrics,
      http: { route: () => undefined },
    };
    this.#sentinel = createSentinel(context, { checks: kinds, ...(probes !== undefined && { probes }) });
    await this.#sentinel.start();
    const over = this.#sentinel.firstRound().then(() => 'over');
    while ((await Promise.race([over, Promise.resolve('under way')])) !== 'over') await this.clock.advance(100);
  }

  /** The kind as it is, with its looks counted: the clock waits for those that take real time. */
  #watched(kind: CheckDefinition): CheckDefinition {
    const isSlow = this.#options.slowKinds?.includes(kind.kind) === true;
    return {
      ...kind,
      observe: (options, context) =>
        this.#counted(isSlow, async () => {
          const look = this.#lookOf(kind, options, context);
          this.#options.onLook?.(look);
          try {
            look.seen = await kind.observe(options, context);
            return [...look.seen];
          } finally {
            look.endedAt = this.clock.now();
          }
        }),
      evidence: {
        ...kind.evidence,
        gather: (options, context, observation) =>
          this.#counted(isSlow, () => kind.evidence.gather(options, context, observation)),
      },
    };
  }

  #lookOf({ kind, reach, resourceOf }: CheckDefinition, options: Record<string, unknown>, context: CheckContext): Look {
    const startedAt = this.clock.now();
    return { kind, reach, resource: resourceOf(options), host: context.host?.name, startedAt };
  }

  async #counted<T>(isSlow: boolean, work: () => Promise<T>): Promise<T> {
    if (isSlow) return work();
    this.#underWay += 1;
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
    }
  }
}
