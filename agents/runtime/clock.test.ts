import { describe, expect, test } from 'vitest';
import { systemClock, toInstant } from './clock.ts';

describe('sleeping', () => {
  test('takes at least its time', async () => {
    const start = performance.now();
    await systemClock.sleep(20);
    // Timers count whole milliseconds, so one may be early by a part of one.
    expect(performance.now() - start).toBeGreaterThan(18);
  });

  test('ends with the reason when the signal aborts', async () => {
    const stop = new AbortController();
    const sleep = systemClock.sleep(3_600_000, stop.signal);
    stop.abort(new Error('enough'));
    await expect(sleep).rejects.toThrow('enough');
    await expect(systemClock.sleep(3_600_000, stop.signal)).rejects.toThrow('enough');
  });

  test('leaves no listener on a signal that lives on', async () => {
    const stop = new AbortController();
    let listeners = 0;
    const { signal } = stop;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...parameters: Parameters<typeof add>) => ((listeners += 1), add(...parameters));
    signal.removeEventListener = (...parameters: Parameters<typeof remove>) => (
      (listeners -= 1),
      remove(...parameters)
    );
    for (let turn = 0; turn < 20; turn += 1) await systemClock.sleep(0, signal);
    expect(listeners).toBe(0);
  });
});

describe('a timer', () => {
  test('that was cancelled does not run', async () => {
    let ran = false;
    systemClock.after(1, () => void (ran = true))();
    await systemClock.sleep(20);
    expect(ran).toBe(false);
  });

  test('of more than 24 days does not run at once, as a bare Node timer would', async () => {
    let ran = false;
    const cancel = systemClock.after(40 * 86_400_000, () => void (ran = true));
    await systemClock.sleep(20);
    cancel();
    expect(ran).toBe(false);
  });
});

test('an instant is written as the wire writes it', () => {
  expect(toInstant(Date.parse('2026-11-20T03:00:00Z'))).toBe('2026-11-20T03:00:00.000Z');
});
