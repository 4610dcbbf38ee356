import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Bus, Delivery } from '#bus/bus.ts';
import type { Freeze } from '#bus/messages/freeze.ts';
import { createVirtualClock, type VirtualClock } from '../../test/parts/virtual-clock.ts';
import { FreezeGate } from './freeze-gate.ts';
import { openRemediationStore, type RemediationStore } from './store.ts';

const start = Date.parse('2026-11-20T12:00:00.000Z');

/** A bus of one topic: hands over what a test says and keeps what the gate says. */
function oneTopic() {
  const said: Freeze[] = [];
  let listener: ((freeze: Freeze, delivery: Delivery) => void | Promise<void>) | undefined;
  let connected: (() => void) | undefined;
  const bus = {
    connected: true,
    publish: (_: unknown, freeze: Freeze) => void said.push(freeze),
    subscribe: (_: unknown, added: typeof listener) => void (listener = added),
    onConnect: (added: () => void) => void (connected = added),
  } as unknown as Bus;
  return {
    bus,
    said,
    say: (freeze: Freeze, retained = false) => void listener?.(freeze, { id: '', retained }),
    connect: () => connected?.(),
  };
}

const message = (frozen: boolean, seconds: number): Freeze => ({
  frozen,
  by: 'ann',
  reason: 'x',
  at: new Date(start + seconds * 1_000).toISOString(),
});

describe('the freeze gate', () => {
  let store: RemediationStore;
  let clock: VirtualClock;
  beforeEach(() => {
    store = openRemediationStore(':memory:', Buffer.alloc(32));
    clock = createVirtualClock(start);
  });
  afterEach(() => store.close());

  function join() {
    const topic = oneTopic();
    const gate = new FreezeGate(store, clock);
    gate.join(topic.bus);
    return { ...topic, gate };
  }

  it('freezing aborts what runs, thawing gives a new signal, a new process remembers', () => {
    const { gate, say } = join();
    const { signal } = gate;
    say(message(true, 0));
    expect(signal.aborted).toBe(true);
    expect(new FreezeGate(store, clock).signal.aborted).toBe(true);
    say(message(false, 5));
    expect(gate.isFrozen).toBe(false);
    expect(gate.signal.aborted).toBe(false);
  });

  it('an old thaw that comes again opens nothing', () => {
    const { gate, say } = join();
    say(message(false, -500));
    say(message(true, 0));
    say(message(false, -500));
    expect(gate.isFrozen).toBe(true);
  });

  it('a thaw from a clock that is somewhat behind counts, as does one after a freeze from the future', async () => {
    const { gate, say } = join();
    say(message(true, 0));
    say(message(false, -20));
    expect(gate.isFrozen).toBe(false);
    say(message(true, 90_000));
    await clock.advance(1_000);
    say(message(false, 1));
    expect(gate.isFrozen).toBe(false);
  });

  it('a broker that was set back is told the stored state, and one that lost it too', async () => {
    const { gate, say, said, connect } = join();
    say(message(true, 0));
    say(message(false, -100), true);
    expect(gate.isFrozen).toBe(true);
    expect(said).toEqual([message(true, 0)]);
    connect();
    await clock.advance(3_000);
    expect(said).toEqual([message(true, 0), message(true, 0)]);
  });

  it('a broker that holds newer state is believed', async () => {
    const { gate, say, said, connect } = join();
    say(message(true, 0));
    connect();
    say(message(false, 10), true);
    await clock.advance(3_000);
    expect(gate.isFrozen).toBe(false);
    expect(said).toEqual([]);
  });

  it('a worker that stops takes no more and leaves what comes for its next life', async () => {
    const { gate, say, said, connect } = join();
    say(message(true, 0));
    connect();
    gate.leave();
    expect(() => say(message(false, 10))).toThrow('the worker stops');
    await clock.advance(3_000);
    expect(gate.isFrozen).toBe(true);
    expect(said).toEqual([]);
  });
});
