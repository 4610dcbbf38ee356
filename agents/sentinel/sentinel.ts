import { Failure, messageOf } from '#bus/failure.ts';
import { emptyHead, type JournalHead } from '#bus/journal.ts';
import type { Evidence, Finding } from '#bus/messages/finding.ts';
import { run } from '#bus/messages/run.ts';
import { resolveSecret } from '#config/secrets.ts';
import type { Agent, AgentContext } from '#agents/runtime/agent.ts';
import type { CheckDefinition } from './check.ts';
import type { FindingEvent } from './finding.ts';
import { bindIntakes } from './foreign/bind.ts';
import { openReception, type Reception } from './foreign/reception.ts';
import type { Source } from './foreign/source.ts';
import { acceptHeartbeats } from './heartbeat/pings.ts';
import { waitingFor } from './heartbeat/waiting.ts';
import { type Discovery, openDiscovery } from './inventory/discovery.ts';
import type { LedgerEvent } from './ledger.ts';
import { assemble, type Parts } from './parts.ts';
import { countAll, troubles } from './picture.ts';
import type { Probes } from './probe.ts';
import { bindChecks, bindShipped, type BoundCheck } from './registry.ts';
import { type RoundSummary, summarize } from './round.ts';
import { serveIntakes } from './intake-verbs.ts';
import { serveVerbs } from './verbs.ts';

export interface SentinelOptions {
  /** Ways to look at hosts; by default this machine and SSH with the `read` logins. Closed by whoever made them. */
  probes?: Probes;
  /** The kinds of checks; by default those that ship. */
  checks?: Map<string, CheckDefinition>;
}

export interface Sentinel extends Agent {
  /** What the first look at everything saw; resolves once every check had its first look. */
  firstRound(): Promise<RoundSummary>;
}

/** Looks on a schedule and says what is true: findings, verdicts, and what it could not look at. */
export function createSentinel(context: AgentContext, options: SentinelOptions = {}): Sentinel {
  return new SentinelAgent(context, options);
}

/** Housekeeping: stale checks and gauges each minute, old rows once a day. */
const tickMs = 60_000;
const pruneMs = 24 * 3_600_000;

class SentinelAgent implements Sentinel {
  readonly name = 'sentinel';
  readonly #context: AgentContext;
  readonly #options: SentinelOptions;
  readonly #round = Promise.withResolvers<RoundSummary>();
  readonly #stopping = new AbortController();
  readonly #lasting = new AbortController();
  readonly #gathering = new Set<Promise<void>>();
  #parts: Parts | undefined;
  #reception: Reception | undefined;
  #discovery: Discovery | undefined;
  #cancelTick: () => void = () => undefined;
  #prunedAt = Number.NEGATIVE_INFINITY;

  constructor(context: AgentContext, options: SentinelOptions) {
    this.#context = context;
    this.#options = options;
    // Nobody may be waiting for it when the process ends early.
    this.#round.promise.catch(() => undefined);
  }

  async start(): Promise<void> {
    const { checks, sources } = await this.#bind();
    const parts = assemble(this.#context, {
      checks,
      sources,
      lasting: this.#lasting.signal,
      ...(this.#options.probes !== undefined && { probes: this.#options.probes }),
      onEvent: (event) => this.#onEvent(event),
      onForeign: (event, finding) => this.#onForeign(event, finding),
    });
    this.#parts = parts;
    this.#listen(parts);
    this.#reception = await openReception(this.#context, { foreign: parts.foreign, sources });
    parts.publisher.start();
    this.#tick(parts);
    this.#discovery = await openDiscovery(this.#context, parts);
    this.#discovery.start();
    this.#beginRound(parts);
    parts.rechecks.resume();
  }

  async stop(): Promise<void> {
    const parts = this.#parts;
    this.#stopping.abort(new Failure('Cannot go on: sentinel stops', { recoverable: true }));
    this.#round.reject(new Failure('Cannot finish the first round: sentinel was stopped', { recoverable: true }));
    this.#cancelTick();
    if (parts === undefined) return;
    parts.publisher.stop();
    parts.foreign.stop();
    await Promise.all([
      this.#reception?.stop(),
      this.#discovery?.stop(),
      parts.runner.stop(),
      parts.rechecks.stop(),
      ...this.#gathering,
    ]);
    this.#lasting.abort();
    if (this.#options.probes === undefined) await parts.probes.close();
    parts.history.close();
    parts.store.close();
  }

  firstRound(): Promise<RoundSummary> {
    return this.#round.promise;
  }

  journalHead(): JournalHead {
    return this.#stopping.signal.aborted ? emptyHead : (this.#parts?.journal.head() ?? emptyHead);
  }

  queues(): Record<string, number> {
    const parts = this.#parts;
    return {
      looks: parts?.runner.underWay ?? 0,
      evidence: parts?.evidence.waiting ?? 0,
      rechecks: parts?.rechecks.underWay ?? 0,
      resolved: parts?.publisher.unseen ?? 0,
    };
  }

  async #bind(): Promise<{ checks: BoundCheck[]; sources: Source[] }> {
    const { config } = this.#context;
    const kinds = this.#options.checks;
    const bound = kinds === undefined ? await bindShipped(config) : bindChecks(config, kinds);
    const intakes = await bindIntakes(config);
    const faults = [...bound.faults, ...intakes.faults];
    if (faults.length === 0) return { checks: bound.checks, sources: intakes.sources };
    const lines = faults.map(({ path, message }) => `${path.join('.')} ${message}`);
    throw new Failure(`Cannot start sentinel: ${lines.join('; ')}`, { recoverable: false });
  }

  #listen(parts: Parts): void {
    const { bus, http, clock, config, baseFolder } = this.#context;
    const { ledger, runner, rechecks, history, foreign } = parts;
    const lookNow = (id: string): ReturnType<typeof runner.lookNow> => runner.lookNow(id);
    serveVerbs(bus, { ledger, board: parts.board, lookNow });
    bus.subscribe(run, (message) => {
      if (!this.#stopping.signal.aborted) rechecks.onRun(message);
    });
    bus.onConnect(() => rechecks.tellAgain());
    const bound = [...ledger.watches.values()].map(({ check }) => check);
    const waiting = waitingFor(bound, (ref) => resolveSecret(ref, baseFolder));
    serveIntakes(bus, { clock, waiting, history, foreign, visits: () => this.#reception?.visits() ?? [] });
    acceptHeartbeats(http, {
      clock,
      waiting,
      address: config.http.address,
      onPing: (id, ping) => {
        const before = history.lastPing(id);
        history.ping(id, ping);
        // News is looked at now; the rest can wait for the schedule.
        if (before?.kind !== ping.kind) for (const check of waiting.checksOf(id)) this.#lookSoon(parts, check);
      },
    });
  }

  #lookSoon({ runner }: Parts, check: string): void {
    runner.lookNow(check).catch((error: unknown) => {
      if (!(error instanceof Failure)) throw error;
      this.#context.log.debug({ check, reason: messageOf(error) }, 'a look after a ping did not happen');
    });
  }

  #beginRound(parts: Parts): void {
    const { clock, config } = this.#context;
    const startedAt = clock.now();
    const hosts = Object.keys(config.hosts).length;
    void parts.runner.start().then(() => {
      const { watches } = parts.ledger;
      parts.publisher.changed();
      this.#measure(parts);
      // What others reported before is not what this round saw.
      this.#round.resolve(
        summarize({ ...countAll(watches, hosts), troubles: troubles(watches) }, clock.now() - startedAt),
      );
    });
  }

  #onEvent(event: LedgerEvent): void {
    const parts = this.#parts;
    if (parts === undefined) return;
    parts.publisher.tell(event.finding);
    if (event.event !== 'fired') return;
    this.#enrich(parts.evidence.gather(event, this.#stopping.signal), (found) => {
      parts.ledger.addEvidence(event, found);
    });
  }

  #onForeign(event: FindingEvent, finding: Finding): void {
    const parts = this.#parts;
    if (parts === undefined) return;
    parts.publisher.tell(finding);
    if (event !== 'fired') return;
    this.#enrich(parts.evidence.gatherForeign(finding, this.#stopping.signal), (found) => {
      parts.foreign.addEvidence(finding, found);
    });
  }

  /** The finding is out; its evidence follows as an update. */
  #enrich(gathering: Promise<Evidence[]>, add: (found: Evidence[]) => void): void {
    const work = this.#whenGathered(gathering, add).finally(() => this.#gathering.delete(work));
    this.#gathering.add(work);
  }

  async #whenGathered(gathering: Promise<Evidence[]>, add: (found: Evidence[]) => void): Promise<void> {
    try {
      const found = await gathering;
      if (found.length > 0 && !this.#stopping.signal.aborted) add(found);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#context.log.debug({ reason: messageOf(error) }, 'evidence was not gathered');
    }
  }

  #tick(parts: Parts): void {
    const { clock } = this.#context;
    const now = clock.now();
    parts.keeping.look(parts.ledger, () => parts.store.setCounter('proved', now));
    parts.ledger.markStale();
    this.#measure(parts);
    if (now - this.#prunedAt >= pruneMs) this.#prune(parts, now);
    this.#cancelTick = clock.after(tickMs, () => this.#tick(parts));
  }

  #measure(parts: Parts): void {
    const { metrics } = this.#context;
    const { counts } = parts.board.count();
    for (const state of ['ok', 'pending', 'firing', 'asleep', 'unknown', 'stale'] as const) {
      metrics.gauge('resources', 'Watched resources by state.', { labels: { state }, value: counts[state] });
    }
    metrics.gauge('findings_firing', 'Findings that are firing.', { value: parts.board.firing().length });
  }

  #prune(parts: Parts, now: number): void {
    this.#prunedAt = now;
    parts.keeping.guard(() => {
      parts.store.prune(now);
      parts.history.prune(now);
    });
  }
}
