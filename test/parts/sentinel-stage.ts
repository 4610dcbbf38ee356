import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Bus } from '#bus/bus.ts';
import { finding, type Finding } from '#bus/messages/finding.ts';
import { hostState, type HostState } from '#bus/messages/host-state.ts';
import { manifest, type Manifest } from '#bus/messages/manifest.ts';
import { verdict, type Verdict } from '#bus/messages/verdict.ts';
import { createInventory } from '#config/inventory.ts';
import { openPeople } from '#config/people.ts';
import { type ConfigInput, ConfigSchema } from '#config/schema.ts';
import { createHttpSurface } from '#agents/runtime/http.ts';
import { createLog } from '#agents/runtime/log.ts';
import { createMetrics } from '#agents/runtime/metrics.ts';
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts';
import { type CheckDefinition, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { createSentinel, type Sentinel, type SentinelOptions } from '#agents/sentinel/sentinel.ts';
import { startTestBroker, type TestBroker } from './broker.ts';

/** What a test makes a check see. */
interface Lever {
  observe: (signal: AbortSignal) => Observation[] | Promise<Observation[]>;
  evidence?: (signal: AbortSignal) => Promise<string[]>;
  looks: number;
}

export const startMs = Date.UTC(2026, 10, 20, 12);

export function state(ok: boolean, more: Partial<Observation> = {}): Observation {
  return {
    condition: 'door-open',
    resource: 'front',
    reading: { is: 'state', ok, severity: 'critical' },
    summary: ok ? 'front door is shut' : 'front door is open',
    ...more,
  };
}

export function level(value: number, more: Partial<Observation> = {}): Observation {
  const thresholds = { warning: { trigger: 80, clear: 75 }, critical: { trigger: 90, clear: 85 } };
  return {
    condition: 'tank-full',
    resource: 'tank',
    reading: { is: 'level', value, unit: '%', bad: 'above', ...thresholds },
    summary: `tank is ${value} % full`,
    ...more,
  };
}

export function blind(reason: string, more: Partial<Observation> = {}): Observation {
  return state(true, { reading: { is: 'unknown', reason }, summary: reason, ...more });
}

/** A sentinel on a real bus under a virtual clock, with checks that see what the test says. */
export class SentinelStage implements AsyncDisposable {
  readonly clock: VirtualClock = createVirtualClock(startMs);
  readonly findings: Finding[] = [];
  readonly manifests: Manifest[] = [];
  readonly verdicts: Verdict[] = [];
  readonly hosts = new Map<string, HostState>();
  readonly cleared: string[] = [];
  readonly metrics = createMetrics();
  readonly #levers = new Map<string, Lever>();
  readonly broker: TestBroker;
  readonly #folder: string;
  readonly listener: Bus;
  #running: { sentinel: Sentinel; bus: Bus; close: () => Promise<void> } | undefined;
  port = 0;

  private constructor(broker: TestBroker, folder: string) {
    this.broker = broker;
    this.#folder = folder;
    this.listener = broker.connect('remediation');
    this.listener.subscribe(finding, (message) => void this.findings.push(message));
    this.listener.subscribe(manifest, (message) => void this.manifests.push(message));
    this.listener.subscribe(verdict, (message) => void this.verdicts.push(message));
    this.listener.subscribe(hostState, (message) => void this.hosts.set(message.host, message));
    this.listener.onClear(finding, (id) => void this.cleared.push(id));
  }

  static async open(): Promise<SentinelStage> {
    const stage = new SentinelStage(await startTestBroker(), await mkdtemp(join(tmpdir(), 'lares-sentinel-')));
    await stage.listener.ready(AbortSignal.timeout(20_000));
    return stage;
  }

  get stateFolder(): string {
    return join(this.#folder, 'sentinel');
  }

  lever(name: string): Lever {
    const known = this.#levers.get(name);
    if (known !== undefined) return known;
    const lever: Lever = { observe: () => [state(true)], looks: 0 };
    this.#levers.set(name, lever);
    return lever;
  }

  /** Starts a sentinel with the folder of the one before, and waits for its first round. */
  async start(input: ConfigInput, more: Pick<SentinelOptions, 'probes'> = {}): Promise<Sentinel> {
    await this.stop();
    const config = ConfigSchema.parse({ defaultChecks: false, ...input });
    const log = createLog({ level: 'silent', name: 'test' });
    const bus = this.broker.connect('sentinel');
    const http = createHttpSurface({ address: '127.0.0.1', port: 0, log });
    const sentinel = createSentinel(
      {
        config,
        baseFolder: this.#folder,
        inventory: createInventory(config),
        stateFolder: this.stateFolder,
        keysFolder: join(this.#folder, 'keys'),
        people: openPeople(config, this.#folder),
        bus,
        clock: this.clock,
        log,
        metrics: this.metrics,
        http,
      },
      { checks: this.#kinds(), ...more },
    );
    await sentinel.start();
    this.port = (await http.listen()).port;
    this.#running = { sentinel, bus, close: () => http.close() };
    await bus.ready(AbortSignal.timeout(20_000));
    return sentinel;
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.close();
    await running?.sentinel.stop();
    await running?.bus.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.broker[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #kinds(): Map<string, CheckDefinition> {
    const of = (kind: string, reach: CheckDefinition['reach']): CheckDefinition =>
      defineCheck({
        kind,
        about: 'Sees what the test says.',
        options: z.object({
          lever: z.string().default('lever'),
          ping: z.string().optional(),
          condition: z.string().optional(),
        }),
        reach,
        resourceOf: ({ lever }) => lever,
        observe: async ({ lever }, { signal, pings }) => {
          const pulled = this.lever(lever);
          pulled.looks++;
          if (kind === 'heartbeat') return [state(pings.last('backup')?.kind === 'success')];
          return pulled.observe(signal);
        },
        evidence: {
          about: 'what the test says',
          gather: async ({ lever }, { signal }) => {
            const lines = await this.lever(lever).evidence?.(signal);
            return lines === undefined ? [] : [{ kind: 'log', title: 'What was logged', lines, truncated: 0 }];
          },
        },
      });
    return new Map([
      ['lever', of('lever', 'network')],
      ['host-lever', of('host-lever', 'host')],
      ['heartbeat', of('heartbeat', 'network')],
    ]);
  }
}
