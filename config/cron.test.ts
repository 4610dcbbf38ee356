import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cronFault, cronWarnings, nextCronRun } from './cron.ts';

const at = (text: string): number => Date.parse(text);
const next = (expression: string, zone: string, after: string): string =>
  new Date(nextCronRun(expression, zone, at(after))).toISOString();

function runs(expression: string, zone: string, { from, count }: { from: string; count: number }): string[] {
  const found: string[] = [];
  for (let last = at(from); found.length < count;) {
    last = nextCronRun(expression, zone, last);
    found.push(new Date(last).toISOString());
  }
  return found;
}

describe('the next run', () => {
  test.each([
    ['*/15 * * * *', 'UTC', '2026-11-20T10:07:03Z', '2026-11-20T10:15:00.000Z'],
    ['*/15 * * * *', 'UTC', '2026-11-20T10:15:00Z', '2026-11-20T10:30:00.000Z'],
    ['*/15 * * * *', 'UTC', '2026-11-20T10:14:59.999Z', '2026-11-20T10:15:00.000Z'],
    ['*/10 * * * * *', 'UTC', '2026-11-20T10:15:05Z', '2026-11-20T10:15:10.000Z'],
    ['0 7 * * *', 'Europe/Paris', '2026-11-20T10:00:00Z', '2026-11-21T06:00:00.000Z'],
    ['0 7 * * *', 'Europe/Paris', '2026-07-01T10:00:00Z', '2026-07-02T05:00:00.000Z'],
    ['0 7 * * *', 'Asia/Kolkata', '2026-11-20T10:00:00Z', '2026-11-21T01:30:00.000Z'],
    ['30 0 1 1 *', 'Pacific/Auckland', '2026-11-20T10:00:00Z', '2026-12-31T11:30:00.000Z'],
    ['0 0 29 2 *', 'UTC', '2026-11-20T10:00:00Z', '2028-02-29T00:00:00.000Z'],
    ['0 0 L * *', 'UTC', '2026-11-20T10:00:00Z', '2026-11-30T00:00:00.000Z'],
    ['0 0 * * 5L', 'UTC', '2026-11-20T10:00:00Z', '2026-11-27T00:00:00.000Z'],
    ['0 9 * * mon-fri', 'UTC', '2026-11-20T10:00:00Z', '2026-11-23T09:00:00.000Z'],
    ['@daily', 'UTC', '2026-11-20T10:00:00Z', '2026-11-21T00:00:00.000Z'],
  ])('of %s in %s after %s is %s', (...[expression, zone, after, expected]) => {
    expect(next(expression, zone, after)).toBe(expected);
  });

  test('is computed from the given instant, not from the clock of the process', () => {
    expect(next('0 3 * * *', 'UTC', '1999-12-31T12:00:00Z')).toBe('2000-01-01T03:00:00.000Z');
    expect(next('0 3 * * *', 'UTC', '2060-12-31T12:00:00Z')).toBe('2061-01-01T03:00:00.000Z');
  });

  test('is never when no such day comes', () => {
    expect(nextCronRun('0 0 30W 2 *', 'UTC', at('2026-11-20T10:00:00Z'))).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('when the clocks change', () => {
  test('a run in the hour that spring skips is made up once, right after it', () => {
    expect(runs('30 2 * * *', 'Europe/Paris', { from: '2027-03-27T00:00:00Z', count: 3 })).toEqual([
      '2027-03-27T01:30:00.000Z',
      '2027-03-28T01:00:00.000Z',
      '2027-03-29T00:30:00.000Z',
    ]);
  });

  test('several runs in the skipped hour are made up by one', () => {
    expect(runs('0,20,40 2 * * *', 'Europe/Paris', { from: '2027-03-28T00:00:00Z', count: 2 })).toEqual([
      '2027-03-28T01:00:00.000Z',
      '2027-03-29T00:00:00.000Z',
    ]);
  });

  test('a run in the hour that autumn repeats happens once', () => {
    expect(runs('30 2 * * *', 'Europe/Paris', { from: '2026-10-24T12:00:00Z', count: 2 })).toEqual([
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ]);
  });

  test('a job of every hour runs through both changes without a gap or a double', () => {
    for (const from of ['2026-10-24T22:00:00Z', '2027-03-27T22:00:00Z']) {
      const found = runs('*/30 * * * *', 'Europe/Paris', { from, count: 12 }).map(at);
      expect(found.slice(1).map((time, index) => time - (found[index] ?? 0))).toEqual(
        Array.from({ length: 11 }, () => 1_800_000),
      );
    }
  });

  test('a zone that skips midnight still has its daily run', () => {
    // Santiago goes from 00:00 to 01:00 in September.
    expect(runs('0 0 * * *', 'America/Santiago', { from: '2026-09-05T12:00:00Z', count: 2 })).toEqual([
      '2026-09-06T04:00:00.000Z',
      '2026-09-07T03:00:00.000Z',
    ]);
  });

  test('a half-hour change is no different', () => {
    // Lord Howe goes from 02:00 to 02:30 in October.
    expect(next('15 2 * * *', 'Australia/Lord_Howe', '2026-10-03T00:00:00Z')).toBe('2026-10-03T15:30:00.000Z');
  });
});

const zones = ['UTC', 'Europe/Paris', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'America/Santiago'];
const expressions = ['30 2 * * *', '*/7 * * * *', '0 */6 * * *', '0 0 1 * *', '15 3 * * 0', '59 23 L * *'];

test('runs only go forward, and a run before an instant is never given for it', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...expressions),
      fc.constantFrom(...zones),
      fc.integer({ min: at('2026-01-01T00:00:00Z'), max: at('2029-01-01T00:00:00Z') }),
      (expression, zone, after) => {
        const first = nextCronRun(expression, zone, after);
        expect(first).toBeGreaterThan(after);
        // Nothing lies between: asking from just before gives the same run.
        expect(nextCronRun(expression, zone, first - 1)).toBe(first);
        expect(nextCronRun(expression, zone, first)).toBeGreaterThan(first);
      },
    ),
    { numRuns: 150 },
  );
});

test('a daily run happens once on each day of the zone, for years', () => {
  for (const zone of zones) {
    const days = runs('30 2 * * *', zone, { from: '2026-06-01T00:00:00Z', count: 800 }).map((instant) =>
      new Date(instant).toLocaleDateString('sv', { timeZone: zone }),
    );
    expect(new Set(days).size).toBe(800);
    const span = (at(days.at(-1) ?? '') - at(days[0] ?? '')) / 86_400_000;
    expect(span).toBe(799);
  }
});

describe('an expression that cannot be used', () => {
  test.each(['61 * * * *', '* * *', '0 0 30 2 *', 'nonsense', '', '0 0 13 * 5', '* * * * * * *'])(
    '%j has a fault',
    (expression) => {
      expect(cronFault(expression)).toBeTypeOf('string');
      expect(() => nextCronRun(expression, 'UTC', 0)).toThrow(/^Cannot use the cron expression/);
    },
  );

  test('both day fields are named as the reason', () => {
    expect(cronFault('0 0 13 * 5')).toContain('both day of month and day of week');
    expect(cronFault('0 0 13 * *')).toBeUndefined();
    expect(cronFault('0 0 * * 5')).toBeUndefined();
  });
});

describe('a warning', () => {
  const from = at('2026-11-20T00:00:00Z');

  test('tells of the local time that spring skips', () => {
    expect(cronWarnings('30 2 * * *', 'Europe/Paris', from)).toEqual([
      '02:30 does not exist on 2027-03-28 in Europe/Paris: it runs at 03:00 that day',
    ]);
  });

  test.each([
    ['30 2 * * *', 'UTC'],
    ['30 3 * * *', 'Europe/Paris'],
    ['*/30 * * * *', 'Europe/Paris'],
    ['30 2 * * 1', 'Europe/Paris'],
  ])('is not given for %s in %s', (expression, zone) => {
    expect(cronWarnings(expression, zone, from)).toEqual([]);
  });
});
