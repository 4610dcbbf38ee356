import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bus } from '#bus/bus.ts';
import type { Assessment } from '#bus/messages/assessment.ts';
import { type Finding, finding } from '#bus/messages/finding.ts';
import { digestOf } from '#bus/canonical.ts';
import { type Plan, type PlanBody, plan } from '#bus/messages/plan.ts';
import type { Proposal } from '#bus/messages/proposal.ts';
import { type Run, run } from '#bus/messages/run.ts';
import { type Verdict, verdict } from '#bus/messages/verdict.ts';
import { createInventory } from '#config/inventory.ts';
import type { People, Role } from '#config/people.ts';
import { type ConfigInput, ConfigSchema } from '#config/schema.ts';
import type { Agent, AgentContext } from '#agents/runtime/agent.ts';
import { type Clock, toInstant } from '#agents/runtime/clock.ts';
import { createLog } from '#agents/runtime/log.ts';
import { createMetrics } from '#agents/runtime/metrics.ts';
import { type VirtualClock, createVirtualClock } from './virtual-clock.ts';
import type { Assessor } from '#agents/triage/assess/assess.ts';
import type { IncidentFacts } from '#agents/triage/assess/incident-facts.ts';
import type { Channel } from '#agents/triage/channel.ts';
import { createTriage } from '#agents/triage/triage.ts';
import { loadCatalogue } from '#playbooks/catalogue.ts';
import { MemoryBus } from './memory-bus.ts';
import { MemoryChannel } from './memory-channel.ts';

export const storyStart = Date.parse('2026-11-20T12:00:00Z');

/** telegram:1 reads, telegram:2 operates, telegram:3 approves; everybody else is a stranger. */
const people: People = {
  may: (id, role) => ranks.indexOf(role) <= ['telegram:1', 'telegram:2', 'telegram:3'].indexOf(id),
  withRole: (role) => ['telegram:1', 'telegram:2', 'telegram:3'].slice(ranks.indexOf(role)),
  add: () => undefined,
};
const ranks: readonly Role[] = ['reader', 'operator', 'approver'];

/** Triage as the composer makes it, on a given bus and clock. */
export async function createStoryTriage(
  parts: { bus: Bus; clock: Clock; folder: string; config?: ConfigInput | undefined },
  channels: readonly Channel[],
  assessor: Assessor,
): Promise<Agent> {
  const { bus, clock, folder } = parts;
  const config = ConfigSchema.parse({ digest: { timezone: 'UTC' }, ...parts.config });
  const context: AgentContext = {
    config,
    baseFolder: folder,
    inventory: createInventory(config),
    stateFolder: join(folder, 'triage'),
    keysFolder: join(folder, 'keys'),
    people,
    bus,
    clock,
    log: createLog({ level: process.env['STORY_LOG'] ?? 'silent', name: 'story' }),
    metrics: createMetrics(),
    http: { route: () => undefined },
  };
  const catalogue = await loadCatalogue();
  const pairLink = (nonce: string): string => `https://t.me/bot?start=${nonce}`;
  return createTriage(context, { channels, assessor, catalogue, pairLink });
}

/** An opinion at once, by no rule at all; `assess` adds to it. */
export function storyAssessor(clock: Clock, assess?: StoryOptions['assess']): Assessor {
  return {
    assess: async (facts, signal) => ({
      incident: facts.incident.id,
      source: 'rules',
      cause: `Cause of ${facts.root.summary}`,
      confidence: 0.5,
      evidence: [],
      failovers: [],
      costEuro: 0,
      at: toInstant(clock.now()),
      ...(await assess?.(facts, signal)),
    }),
    spending: () => [{ provider: 'cloud', calls: 3, inputTokens: 900, outputTokens: 90, euro: 0.12 }],
    capEuro: 5,
    status: () => [{ provider: 'cloud', state: 'closed' }],
    onNotice: () => undefined,
    close: () => undefined,
  };
}

export interface StoryOptions {
  config?: ConfigInput;
  channels?: readonly string[];
  startAt?: number;
  assess?: (facts: IncidentFacts, signal: AbortSignal) => Promise<Partial<Assessment>>;
}

/** Triage with its real store, rules and channels' contract, on a bus in memory and under a virtual clock. */
export class Story implements AsyncDisposable {
  readonly clock: VirtualClock;
  readonly channels: MemoryChannel[];
  bus = new MemoryBus('triage');
  readonly #folder = mkdtempSync(join(tmpdir(), 'lares-triage-'));
  readonly #options: StoryOptions;
  #triage: Agent | undefined;

  private constructor(options: StoryOptions) {
    this.#options = options;
    this.clock = createVirtualClock(options.startAt ?? storyStart);
    this.channels = (options.channels ?? ['chat']).map((kind) => new MemoryChannel(kind, this.clock));
  }

  static async begin(options: StoryOptions = {}): Promise<Story> {
    const story = new Story(options);
    await story.#start();
    return story;
  }

  get chat(): MemoryChannel {
    const [channel] = this.channels;
    if (channel === undefined) throw new Error('The story has no channel');
    return channel;
  }

  get triage(): Agent {
    if (this.#triage === undefined) throw new Error('Triage does not run');
    return this.#triage;
  }

  async #start(): Promise<void> {
    const { bus, clock, channels } = this;
    const parts = { bus, clock, folder: this.#folder, config: this.#options.config };
    this.#triage = await createStoryTriage(parts, channels, this.#assessor());
    await this.#triage.start();
  }

  #assessor(): Assessor {
    return storyAssessor(this.clock, this.#options.assess);
  }

  /** Stops and starts again on the same state; the bus is a new connection. */
  async restart(downMs = 0): Promise<void> {
    await this.triage.stop();
    if (downMs > 0) await this.clock.advance(downMs);
    this.bus = new MemoryBus('triage');
    await this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#triage?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  finding(about: Partial<Finding> & { name: string }): Finding {
    return makeFinding({ updatedAt: toInstant(this.clock.now()), ...about }, this.clock.now());
  }

  async fire(about: Partial<Finding> & { name: string }): Promise<Finding> {
    const message = this.finding(about);
    await this.bus.hear(finding, message);
    return message;
  }

  async resolve(message: Finding): Promise<void> {
    const now = toInstant(this.clock.now());
    await this.bus.hear(finding, { ...message, status: 'resolved', endsAt: now, updatedAt: now });
  }

  /** The newest proposal on the bus. */
  proposal(): Proposal {
    const proposal = this.bus.sent.findLast((message) => message.kind === 'proposal')?.payload;
    if (proposal === undefined) throw new Error('Nothing was proposed');
    return proposal as Proposal;
  }

  /** The worker's plan for a proposal. */
  plan(proposal: Proposal, about: Partial<Plan> = {}): Plan {
    const body = planBody(proposal);
    return {
      id: `plan-${proposal.id}`,
      proposal: proposal.id,
      ...(proposal.incident !== undefined && { incident: proposal.incident }),
      findings: proposal.findings,
      status: 'pending',
      title: `Restart on ${proposal.hosts.join(', ')}`,
      playbook: proposal.playbook,
      risk: 'low',
      body,
      digest: digestOf(body),
      proof: 'tap',
      blastRadius: [],
      history: [],
      createdAt: toInstant(this.clock.now()),
      expiresAt: toInstant(this.clock.now() + 12 * 3_600_000),
      ...about,
    };
  }

  async planFor(proposal: Proposal, about: Partial<Plan> = {}): Promise<Plan> {
    const message = this.plan(proposal, about);
    await this.bus.hear(plan, message);
    await this.clock.advance(1_500);
    return message;
  }

  async run(of: Plan, about: Partial<Run>): Promise<void> {
    await this.bus.hear(run, {
      id: `run-${of.id}`,
      plan: of.id,
      ...(of.incident !== undefined && { incident: of.incident }),
      playbook: of.playbook,
      hosts: ['web'],
      findings: of.findings,
      status: 'started',
      steps: [],
      updatedAt: toInstant(this.clock.now()),
      ...about,
    });
    await this.clock.advance(1_500);
  }

  async verdict(of: Plan, outcome: Verdict['outcome']): Promise<void> {
    await this.bus.hear(verdict, {
      run: `run-${of.id}`,
      ...(of.incident !== undefined && { incident: of.incident }),
      outcome,
      checks: of.findings.map((fingerprint) => ({ fingerprint, ok: outcome === 'fixed', summary: `${outcome} it is` })),
      at: toInstant(this.clock.now()),
    });
    await this.clock.advance(1_500);
  }
}

function planBody(proposal: Proposal): PlanBody {
  return {
    playbook: proposal.playbook,
    playbookDigest: '0'.repeat(64),
    parameters: proposal.parameters,
    hosts: proposal.hosts.map((host) => ({ host, transport: 'local', address: '', port: 0, user: '', hostKeys: [] })),
    preconditions: [],
    condition: [],
    steps: [
      {
        id: 'restart',
        host: proposal.hosts[0] ?? 'web',
        argv: ['sudo', '-n', 'systemctl', 'restart', 'nginx.service'],
        sudo: true,
        timeoutMs: 60_000,
        success: [0],
      },
    ],
    verification: [],
    rollback: [],
  };
}

/** A finding of the given alert name; its fingerprint follows from name, host, resource and labels. */
export function makeFinding(about: Partial<Finding> & { name: string }, now: number): Finding {
  const { name, ...rest } = about;
  const host = rest.host;
  const resource = rest.resource ?? name;
  const labels = { alertname: name, ...(host !== undefined && { host }), ...rest.labels };
  const hash = createHash('sha256')
    .update(JSON.stringify([labels, resource]))
    .digest('hex')
    .slice(0, 16);
  const startsAt = rest.startsAt ?? toInstant(now);
  return {
    fingerprint: hash,
    occurrence: `${hash}-${Date.parse(startsAt).toString(36)}`,
    status: 'firing',
    condition: 'problem',
    severity: 'critical',
    check: `check-${name}`,
    kind: 'test',
    resource,
    summary: `${name} of ${host ?? resource}`,
    updatedAt: toInstant(now),
    evidence: [],
    ...rest,
    startsAt,
    labels,
  };
}
