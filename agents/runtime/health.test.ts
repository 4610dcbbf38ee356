import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import type { z } from 'zod';
import { encode, type MessageKind } from '#bus/message.ts';
import { AgentHealth, agentHealth } from '#bus/messages/agent-health.ts';
import { startHealth } from './health.ts';
import { createLog } from './log.ts';
import { createMetrics } from './metrics.ts';
import { createVirtualClock } from '../../test/parts/virtual-clock.ts';

/** A connection that can be cut: what is published goes through the real encoder. */
function openBus() {
  const sent: AgentHealth[] = [];
  const listeners: (() => void)[] = [];
  const bus = {
    connected: false,
    publish<P extends z.ZodObject>(kind: MessageKind<P>, payload: z.input<P>): void {
      sent.push(AgentHealth.parse(JSON.parse(encode(kind, payload).toString())));
      expect(kind.name).toBe(agentHealth.name);
    },
    onConnect: (listener: () => void) => void listeners.push(listener),
  };
  const connect = (): void => {
    bus.connected = true;
    for (const listener of listeners) listener();
  };
  return { bus, sent, connect };
}

function open() {
  const { bus, sent, connect } = openBus();
  const clock = createVirtualClock(Date.parse('2026-11-20T10:00:00Z'));
  const metrics = createMetrics();
  const log = createLog({
    level: 'error',
    name: 'test',
    destination: new Writable({ write: (_c, _e, done) => done() }),
  });
  const start = () =>
    startHealth({
      agent: 'triage',
      bus,
      clock,
      metrics,
      log,
      queues: () => ({ outbox: 3 }),
      journalHead: () => ({ sequence: 7, head: 'a'.repeat(64) }),
    });
  return { bus, sent, connect, clock, metrics, log, start };
}

test('health is told on every connect and each minute, and not while disconnected', async () => {
  const { bus, sent, connect, clock, start } = open();
  const health = start();
  await clock.advance(120_000);
  expect(sent).toHaveLength(0);
  connect();
  expect(sent).toHaveLength(1);
  await clock.advance(180_000);
  expect(sent).toHaveLength(4);
  bus.connected = false;
  await clock.advance(60_000);
  expect(sent).toHaveLength(4);
  connect();
  expect(sent).toHaveLength(5);
  health.stop();
});

test('an agent that is connected already tells at once', () => {
  const { sent, connect, start } = open();
  connect();
  const health = start();
  expect(sent).toHaveLength(1);
  health.stop();
});

test('it holds queues, memory, time of the clock, journal head and the last error', () => {
  const { bus, sent, connect, log, metrics, start } = open();
  connect();
  log.error('a send failed');
  const health = start();
  expect(sent[0]).toMatchObject({
    agent: 'triage',
    at: '2026-11-20T10:00:00.000Z',
    queues: { outbox: 3 },
    journal: { sequence: 7 },
    lastError: 'a send failed',
  });
  expect(sent[0]?.residentBytes).toBeGreaterThan(1_000_000);
  expect(metrics.exposition()).toContain('lares_queue_length{agent="triage",queue="outbox"} 3');
  expect(metrics.exposition()).toContain('lares_bus_connected{agent="triage"} 1');
  bus.connected = false;
  expect(metrics.exposition()).toContain('lares_bus_connected{agent="triage"} 0');
  health.stop();
});

test('after stop nothing is told and no timer waits', async () => {
  const { sent, connect, clock, start } = open();
  start().stop();
  connect();
  await clock.advance(600_000);
  expect(sent).toHaveLength(0);
  expect(clock.pending()).toBe(0);
});
