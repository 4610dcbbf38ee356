import { describe, expect, it } from 'vitest';
import { Slots } from './slots.ts';

const never = new AbortController().signal;

describe('slots', () => {
  it('no more than the limit are held, and those who wait are served in order', async () => {
    const slots = new Slots(2);
    const order: number[] = [];
    let held = 0;
    let most = 0;
    await Promise.all(
      [1, 2, 3, 4, 5, 6].map(async (number) => {
        const release = await slots.take(never);
        held += 1;
        most = Math.max(most, held);
        order.push(number);
        await Promise.resolve();
        held -= 1;
        release();
      }),
    );
    expect(most).toBe(2);
    expect(order).toEqual([1, 2, 3, 4, 5, 6]);
    expect(slots.held).toBe(0);
  });

  it('giving a slot back twice gives one slot', async () => {
    const slots = new Slots(2);
    const release = await slots.take(never);
    await slots.take(never);
    release();
    release();
    expect(slots.held).toBe(1);
  });

  it('who gives up while waiting takes no slot', async () => {
    const slots = new Slots(1);
    const release = await slots.take(never);
    const controller = new AbortController();
    const waiting = slots.take(controller.signal);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    release();
    expect(slots.held).toBe(0);
  });

  it('a lower limit counts as slots come back', async () => {
    const slots = new Slots(3);
    const releases = [await slots.take(never), await slots.take(never), await slots.take(never)];
    slots.lowerTo(1);
    let isServed = false;
    const waiting = slots.take(never).then(() => (isServed = true));
    releases[0]?.();
    releases[1]?.();
    await Promise.resolve();
    expect(isServed).toBe(false);
    releases[2]?.();
    await waiting;
    expect(slots.held).toBe(1);
  });
});
