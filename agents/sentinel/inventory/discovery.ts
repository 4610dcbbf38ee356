import type { Bus } from '#bus/bus.ts';
import { Failure, messageOf } from '#bus/failure.ts';
import { inventory } from '#bus/messages/inventory.ts';
import type { Config } from '#config/schema.ts';
import type { AgentContext } from '#agents/runtime/agent.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import type { Probes } from '../probe.ts';
import type { SentinelStore } from '../store.ts';
import { ask } from './ask.ts';
import { pictureOf } from './picture.ts';
import { bindShippedSources, type BoundSource } from './registry.ts';
import { nothingSaid, remember, type Said } from './remember.ts';

interface DiscoveryOptions {
  bus: Bus;
  store: Pick<SentinelStore, 'discovered' | 'saveDiscovered'>;
  config: Pick<Config, 'hosts' | 'services'>;
  sources: readonly BoundSource[];
  probes: Probes;
  clock: Clock;
  log: Log;
  baseFolder: string;
}

/** The first looks come after those of the checks, which people wait for. */
const firstAfterMs = 5_000;
/** A source that was silent is asked again so soon, or at its interval when that is sooner. */
const retryMs = 15 * 60_000;

/** The discovery of a running sentinel. Throws a Failure for sources that cannot be bound. */
export async function openDiscovery(
  context: AgentContext,
  parts: { store: SentinelStore; probes: Probes },
): Promise<Discovery> {
  const { sources, faults } = await bindShippedSources(context.config);
  if (faults.length > 0) {
    const lines = faults.map(({ path, message }) => `${path.join('.')} ${message}`);
    throw new Failure(`Cannot start sentinel: ${lines.join('; ')}`, { recoverable: false });
  }
  return new Discovery({ ...context, ...parts, sources });
}

/** Asks the sources on their intervals, keeps what they said, and tells the merged fleet on the bus. */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #said = new Map<string, Said>();
  readonly #stopping = new AbortController();
  readonly #looks = new Set<Promise<void>>();
  readonly #timers = new Map<string, () => void>();

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    for (const { id } of options.sources) this.#said.set(id, options.store.discovered(id) ?? nothingSaid);
  }

  start(): void {
    const { bus, sources, clock } = this.#options;
    // What an earlier life told, when nothing is discovered any more.
    bus.subscribe(inventory, (_payload, { id, retained }) => {
      if (retained && sources.length === 0 && id === bus.agent) bus.clear(inventory, id);
    });
    if (sources.length === 0) return;
    bus.onConnect(() => this.#publish());
    for (const source of sources) {
      const { answeredAt } = this.#said.get(source.id) ?? nothingSaid;
      const { every } = source.config;
      // A clock that was set back must not put the next look off for years.
      const due = answeredAt === undefined ? 0 : Math.min(every, answeredAt + every - clock.now());
      this.#schedule(source, Math.max(firstAfterMs, due));
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Failure('Cannot go on: discovery stops', { recoverable: true }));
    for (const cancel of this.#timers.values()) cancel();
    await Promise.all(this.#looks);
  }

  #schedule(source: BoundSource, afterMs: number): void {
    const cancel = this.#options.clock.after(afterMs, () => {
      const look = this.#look(source).finally(() => this.#looks.delete(look));
      this.#looks.add(look);
    });
    this.#timers.set(source.id, cancel);
  }

  async #look(source: BoundSource): Promise<void> {
    const { config, clock, probes, baseFolder, log } = this.#options;
    const around = { clock, probes, baseFolder, hosts: config.hosts, signal: this.#stopping.signal };
    try {
      const answer = await ask(source, around);
      if (answer.is === 'silent') log.info({ source: source.id, reason: answer.reason }, 'a source said nothing');
      this.#take(source, remember(this.#said.get(source.id) ?? nothingSaid, answer, clock.now()));
      const { every } = source.config;
      this.#schedule(source, answer.is === 'silent' ? Math.min(every, retryMs) : every);
    } catch (error) {
      if (!this.#stopping.signal.aborted) throw error;
    }
  }

  #take(source: BoundSource, said: Said): void {
    this.#said.set(source.id, said);
    try {
      this.#options.store.saveDiscovered(source.id, said);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#options.log.error({ reason: messageOf(error) }, 'what was discovered could not be stored');
    }
    this.#publish();
  }

  #publish(): void {
    const { bus, config, sources, clock, log } = this.#options;
    if (this.#stopping.signal.aborted || !bus.connected) return;
    const picture = pictureOf({ sentinel: bus.agent, config, sources, said: this.#said, now: clock.now() });
    if (picture.leftOut > 0) log.warn({ leftOut: picture.leftOut }, 'the fleet does not fit into one message');
    try {
      bus.publish(inventory, picture);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.error({ reason: messageOf(error) }, 'what was discovered could not be told');
    }
  }
}
