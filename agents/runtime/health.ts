import type { Bus } from '#bus/bus.ts';
import type { JournalHead } from '#bus/journal.ts';
import { agentHealth, type AgentHealth } from '#bus/messages/agent-health.ts';
import { type Clock, toInstant } from './clock.ts';
import { lastErrorOf, type Log } from './log.ts';
import { type Metrics, watchEventLoop } from './metrics.ts';

interface HealthOptions {
  agent: AgentHealth['agent'];
  bus: Pick<Bus, 'connected' | 'publish' | 'onConnect'>;
  clock: Clock;
  metrics: Metrics;
  log: Log;
  queues(): Record<string, number>;
  /** Head of the agent's journal; the others keep it. */
  journalHead(): JournalHead;
}

const intervalMs = 60_000;

/** Publishes how the agent is: on every connect and each minute. A page of metrics has the numbers of its own moment. */
export function startHealth(options: HealthOptions): { stop(): void } {
  const { agent, bus, clock, metrics, log } = options;
  const loop = watchEventLoop();
  let cancel: () => void = () => undefined;
  let isStopped = false;

  function measure(): void {
    for (const [queue, value] of Object.entries(options.queues())) {
      metrics.gauge('queue_length', 'Entries that wait in a queue of an agent.', { labels: { agent, queue }, value });
    }
    const up = Number(bus.connected);
    metrics.gauge('bus_connected', 'Whether the agent is connected to the bus.', { labels: { agent }, value: up });
  }

  function publish(): void {
    const { user, system } = process.cpuUsage();
    const lastError = lastErrorOf(log);
    bus.publish(agentHealth, {
      agent,
      at: toInstant(clock.now()),
      queues: options.queues(),
      eventLoopLagMs: loop.p99Ms(),
      residentBytes: process.memoryUsage.rss(),
      cpuSeconds: (user + system) / 1_000_000,
      ...(lastError !== undefined && { lastError }),
      journal: options.journalHead(),
    });
  }

  function tick(): void {
    if (isStopped) return;
    if (bus.connected) publish();
    cancel = clock.after(intervalMs, tick);
  }

  // A listener of the bus cannot be taken back, so it asks.
  bus.onConnect(() => {
    if (!isStopped) publish();
  });
  tick();
  const endMeasuring = metrics.beforePage(measure);
  return {
    stop() {
      isStopped = true;
      endMeasuring();
      cancel();
    },
  };
}
