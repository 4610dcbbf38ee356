import { describe, expect, test } from 'vitest';
import type { CheckMemory } from '#agents/sentinel/check.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { busyPercent, observeCpu, parseCpuTicks } from './cpu.ts';

const minute = 60_000;
const limits = { warning: 85, critical: 95, lasts: 10 * minute };

describe('/proc/stat', () => {
  test.each([
    ['cpu  100 1 50 800 40 0 9 0 0 0', { idle: 840, total: 1_000 }],
    ['cpu  100 1 50 800 40 0 9 100 70 30', { idle: 840, total: 1_100 }],
    ['cpu  100 1 50 800', { idle: 800, total: 951 }],
    ['cpu0 1 2 3 4', undefined],
    ['cpu  1 2', undefined],
    ['', undefined],
  ])('"%s"', (text, ticks) => {
    expect(parseCpuTicks(text)).toEqual(ticks);
  });

  test('what was not idle between two readings was busy, without the waiting for disks', () => {
    expect(busyPercent({ idle: 800, total: 1_000 }, { idle: 825, total: 1_250 })).toBeCloseTo(90);
  });

  test('after a boot the counters begin anew', () => {
    expect(busyPercent({ idle: 800, total: 1_000 }, { idle: 50, total: 100 })).toBe(50);
    expect(busyPercent({ idle: 800, total: 1_000 }, { idle: 800, total: 1_000 })).toBeUndefined();
  });
});

/** Looks every minute at CPUs that are so busy. */
function looks(percents: readonly number[]): ReturnType<typeof observeCpu>[] {
  const memory: CheckMemory = checkContext().memory;
  const ticks = { idle: 0, total: 0 };
  return percents.map((percent, index) => {
    ticks.total += 1_000;
    ticks.idle += 1_000 - percent * 10;
    return observeCpu({ ...ticks }, limits, { memory, now: index * minute });
  });
}

describe('the level', () => {
  test('the first look only counts, the second knows', () => {
    const [first, second] = looks([50, 90]);
    expect(first).toEqual([]);
    expect(second).toMatchObject([
      {
        condition: 'cpu-high',
        holdMs: 10 * minute,
        summary: 'the CPUs are 90 % busy',
        reading: { value: 90, warning: { trigger: 85, clear: 80 } },
      },
    ]);
  });

  test('above 95 % is critical after half an hour without a break, and not before', () => {
    const found = looks([0, ...Array.from({ length: 31 }, () => 99), 50, 99]).map(([only]) => only?.reading);
    const isCritical = found.map((reading) => reading?.is === 'level' && reading.critical !== undefined);
    expect(isCritical.indexOf(true)).toBe(31);
    expect(isCritical.lastIndexOf(true)).toBe(31);
  });
});
