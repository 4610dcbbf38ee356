import { randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { type Freeze, freeze } from '#bus/messages/freeze.ts';
import { signThaw } from '#bus/sign.ts';
import { systemClock } from '#agents/runtime/clock.ts';
import { MemoryBus } from '../../test/parts/memory-bus.ts';
import { makeSigner } from '../../test/parts/signers.ts';
import { FreezeGate } from './freeze-gate.ts';
import { openRemediationStore } from './store.ts';

const store = openRemediationStore(':memory:', randomBytes(32));
afterEach(() => void store.rows.run('PRAGMA query_only=OFF'));

const { signer, trusted } = makeSigner();

function said(frozen: boolean, at: number): Freeze {
  const word = { by: 'telegram:1', reason: 'test', at: new Date(at).toISOString() };
  return frozen ? { frozen, ...word } : signThaw(word, signer);
}

test('freezing stops what runs also when it cannot be written down', async () => {
  const gate = new FreezeGate({
    store,
    clock: systemClock,
    people: { may: () => true },
    trustedKeys: () => trusted,
    dropped: { note: () => undefined },
  });
  const bus = new MemoryBus('remediation');
  gate.join(bus);
  const { signal } = gate;
  store.rows.run('PRAGMA query_only=ON');
  await expect(bus.hear(freeze, said(true, Date.now()))).rejects.toThrow('read-only');
  expect([signal.aborted, gate.isFrozen]).toEqual([true, true]);
  store.rows.run('PRAGMA query_only=OFF');
  await bus.hear(freeze, said(true, Date.now()));
  expect(gate.state?.frozen).toBe(true);
  await bus.hear(freeze, said(false, Date.now() + 1));
  expect([gate.signal.aborted, gate.isFrozen]).toEqual([false, false]);
  gate.leave();
});
