import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Bus, Delivery } from '#bus/bus.ts';
import type { Freeze } from '#bus/messages/freeze.ts';
import { signThaw } from '#bus/sign.ts';
import { createLog } from '#agents/runtime/log.ts';
import { makeSigner } from '../../test/parts/signers.ts';
import { createVirtualClock, type VirtualClock } from '../../test/parts/virtual-clock.ts';
import { createDropped } from './dropped.ts';
import { FreezeGate } from './freeze-gate.ts';
import { openRemediationStore, type RemediationStore } from './store.ts';

const start = Date.parse('2026-11-20T12:00:00.000Z');
const { signer, trusted } = makeSigner();

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

const word = (seconds: number, by = 'ann') => ({
  by,
  reason: 'x',
  at: new Date(start + seconds * 1_000).toISOString(),
});
const frozen = (seconds: number): Freeze => ({ frozen: true, ...word(seconds) });
const thaw = (seconds: number, by = 'ann'): Freeze => signThaw(word(seconds, by), signer);

describe('the freeze gate', () => {
  let store: RemediationStore;
  let clock: VirtualClock;
  let approvers: string[];
  beforeEach(() => {
    approvers = ['ann'];
    store = openRemediationStore(':memory:', Buffer.alloc(32));
    clock = createVirtualClock(start);
  });
  afterEach(() => store.close());

  function open(): FreezeGate {
    const dropped = createDropped({ store, clock, log: createLog({ level: 'silent', name: 'test' }) });
    const people = { may: (id: string, role: string) => approvers.includes(id) && role === 'approver' };
    return new FreezeGate({ store, clock, people, trustedKeys: () => trusted, dropped });
  }

  function join(onSettled?: () => void) {
    const topic = oneTopic();
    const gate = open();
    gate.join(topic.bus, onSettled);
    return { ...topic, gate };
  }

  it('freezing aborts what runs, thawing gives a new signal, a new process remembers', () => {
    const { gate, say } = join();
    const { signal } = gate;
    say(frozen(0));
    expect(signal.aborted).toBe(true);
    expect(open().signal.aborted).toBe(true);
    say(thaw(5));
    expect(gate.isFrozen).toBe(false);
    expect(gate.signal.aborted).toBe(false);
  });

  it('a thaw that nobody, or somebody unknown, signed opens nothing, and the bus is told what counts', () => {
    const { gate, say, said } = join();
    say(frozen(0));
    const { signature: _, ...unsigned } = thaw(5);
    say(unsigned);
    say(signThaw(word(5), makeSigner().signer));
    say({ ...thaw(5), by: 'eve' });
    expect(gate.isFrozen).toBe(true);
    expect(said).toEqual([frozen(0), frozen(0), frozen(0)]);
    expect(gate.thaw(unsigned)).toContain('not signed');
  });

  it('a thaw by somebody who is no approver here opens nothing, also not once he is one', () => {
    const { gate, say } = join();
    say(frozen(0));
    const early = thaw(5, 'eve');
    expect(gate.thaw(early)).toBe('"eve" is no approver here');
    approvers.push('eve');
    expect(gate.thaw(early)).toBe('it was said before');
    expect(gate.isFrozen).toBe(true);
    expect(gate.thaw(thaw(6, 'eve'))).toBeUndefined();
  });

  it('a thaw that counted does not count again after a newer freeze, however close they are', () => {
    const { gate, say } = join();
    say(frozen(0));
    const once = thaw(5);
    say(once);
    expect(gate.isFrozen).toBe(false);
    say(frozen(10));
    say(once);
    expect(gate.thaw(once)).toBe('it was said before');
    expect(gate.isFrozen).toBe(true);
    say(thaw(12));
    expect(gate.isFrozen).toBe(false);
  });

  it('a freeze that claims to be old makes no old thaw count', async () => {
    const { gate, say } = join();
    say(thaw(0));
    await clock.advance(600_000);
    say(thaw(600));
    say({ ...frozen(0), at: '1970-01-01T00:00:00.000Z' });
    say(thaw(300));
    expect(gate.isFrozen).toBe(true);
    say(thaw(601));
    expect(gate.isFrozen).toBe(false);
  });

  it('an old thaw that comes again opens nothing', () => {
    const { gate, say } = join();
    say(thaw(-500));
    say(frozen(0));
    say(thaw(-500));
    expect(gate.isFrozen).toBe(true);
  });

  it('a thaw from a clock that is somewhat off counts; from one that is far off it is refused with the reason', async () => {
    const { gate, say } = join();
    say(frozen(0));
    say(thaw(-20));
    expect(gate.isFrozen).toBe(false);
    say(frozen(90_000));
    await clock.advance(1_000);
    expect(gate.thaw(thaw(3_600))).toContain('set the clocks');
    expect(gate.thaw(thaw(-3_600))).toContain('set the clocks');
    expect(gate.isFrozen).toBe(true);
    say(thaw(1));
    expect(gate.isFrozen).toBe(false);
  });

  it('a freeze by a clock that was a day ahead ends with a thaw of now, and with none that was said before it', async () => {
    const day = 86_400;
    const { gate, say } = join();
    await clock.advance(day * 1_000);
    const before = thaw(day);
    say(before);
    say(frozen(day + 300));
    await clock.advance(300_000);
    say(frozen(day + 300));
    clock.setBack(day * 1_000);
    expect(gate.thaw(before)).toContain('said before');
    await clock.advance(day * 1_000 - 300_000);
    expect(gate.thaw(before)).toContain('said before');
    expect(gate.isFrozen).toBe(true);
    clock.setBack(day * 1_000);
    expect(gate.thaw(thaw(0))).toBeUndefined();
    expect(gate.isFrozen).toBe(false);
  });

  it('a freeze that came while the worker was away counts, also after a thaw by a clock that was a day ahead', async () => {
    const day = 86_400;
    const { say } = join();
    await clock.advance(day * 1_000);
    say(thaw(day));
    clock.setBack(day * 1_000);
    const { gate, say: sayAgain } = join();
    await clock.advance(1_000);
    sayAgain(frozen(0), true);
    expect(gate.isFrozen).toBe(true);
  });

  it('a broker that was set back is told the stored state, and one that lost it too', async () => {
    const { gate, say, said, connect } = join();
    say(frozen(0));
    say(thaw(-100), true);
    expect(gate.isFrozen).toBe(true);
    expect(said).toEqual([frozen(0)]);
    connect();
    await clock.advance(3_000);
    expect(said).toEqual([frozen(0), frozen(0)]);
  });

  it('a broker that holds newer state is believed', async () => {
    const { gate, say, said, connect } = join();
    say(frozen(0));
    connect();
    say(thaw(10), true);
    await clock.advance(3_000);
    expect(gate.isFrozen).toBe(false);
    expect(said).toEqual([]);
  });

  it('a thaw that was asked for counts once it is stored, and everybody is told', () => {
    const { gate, say, said } = join();
    say(frozen(0));
    const asked = thaw(5);
    expect(gate.thaw(asked)).toBeUndefined();
    expect(gate.thaw(asked)).toBeUndefined();
    expect(said).toEqual([asked]);
    expect(open().isFrozen).toBe(false);
  });

  it('is settled by the first word of the bus, or when the bus had time to say it', async () => {
    const settled: string[] = [];
    const told = join(() => settled.push('told'));
    told.connect();
    expect(told.gate.isSettled).toBe(false);
    told.say(frozen(0), true);
    expect([told.gate.isSettled, told.gate.isFrozen]).toEqual([true, true]);
    const silent = join(() => settled.push('silent'));
    await clock.advance(60_000);
    expect(silent.gate.isSettled).toBe(false);
    silent.connect();
    await clock.advance(2_000);
    expect(settled).toEqual(['told', 'silent']);
  });

  it('a worker that stops takes no more and leaves what comes for its next life', async () => {
    const { gate, say, said, connect } = join();
    say(frozen(0));
    connect();
    gate.leave();
    expect(() => say(thaw(10))).toThrow('the worker stops');
    await clock.advance(3_000);
    expect(gate.isFrozen).toBe(true);
    expect(said).toEqual([]);
  });
});
