import { Writable } from 'node:stream';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { createLog } from './log.ts';
import { createSchedule, type Schedule, type ScheduledJob, type Timing } from './schedule.ts';
import { createVirtualClock, type VirtualClock } from '../../test/parts/virtual-clock.ts';

const start = Date.parse('2026-11-20T10:00:00Z');
const opened: Schedule[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((schedule) => schedule.stop()));
});

function open(startMs = start) {
  const clock = createVirtualClock(startMs);
  const lines: string[] = [];
  const bugs: unknown[] = [];
  const destination = new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) });
  const log = createLog({ level: 'debug', name: 'test', destination });
  const schedule = createSchedule({ clock, log, onBug: (error) => void bugs.push(error) });
  opened.push(schedule);
  return { clock, schedule, lines, bugs };
}

function recorder(
  clock: VirtualClock,
  id: string,
  timing: Timing,
): ScheduledJob & { times: number[]; planned: number[] } {
  const times: number[] = [];
  const planned: number[] = [];
  return {
    id,
    timing,
    times,
    planned,
    run: async () => void times.push(clock.now()),
    onScheduled: (nextAt) => void planned.push(nextAt),
  };
}

describe('an interval job', () => {
  test('runs soon, and then at equal distances however long it takes', async () => {
    const { clock, schedule } = open();
    const job = recorder(clock, 'a', { everyMs: 60_000 });
    schedule.add({ ...job, run: (signal) => job.run(signal).then(() => clock.sleep(7_000)) });
    await clock.advance(600_000);
    expect((job.times[0] ?? 0) - start).toBeLessThan(1_000);
    expect(job.times).toHaveLength(10);
    expect(job.times.map((time) => (time - (job.times[0] ?? 0)) % 60_000)).toEqual(Array.from({ length: 10 }, () => 0));
  });

  test('tells each next time before it comes', async () => {
    const { clock, schedule } = open();
    const job = recorder(clock, 'a', { everyMs: 1_000 });
    schedule.add(job);
    await clock.advance(5_500);
    expect(job.planned.slice(0, job.times.length)).toEqual(job.times);
  });

  test('has a jitter that depends on nothing but its name', async () => {
    const timesOf = async (): Promise<number[]> => {
      const { clock, schedule } = open();
      const job = recorder(clock, 'jittery', { everyMs: 10_000, jitterMs: 2_000 });
      schedule.add(job);
      await clock.advance(100_000);
      return job.times;
    };
    const times = await timesOf();
    expect(await timesOf()).toEqual(times);
    expect(new Set(times.slice(1).map((time, index) => time - (times[index] ?? 0))).size).toBeGreaterThan(3);
  });

  test('never overlaps itself, and does not make up what it slept through', async () => {
    const { clock, schedule } = open();
    let running = 0;
    let most = 0;
    const times: number[] = [];
    schedule.add({
      id: 'slow',
      timing: { everyMs: 1_000 },
      async run() {
        times.push(clock.now());
        running += 1;
        most = Math.max(most, running);
        await clock.sleep(3_500);
        running -= 1;
      },
    });
    await clock.advance(20_000);
    expect(most).toBe(1);
    expect(times.length).toBe(5);
  });
});

test('a hundred jobs that are added together are spread and all run within their interval', async () => {
  const { clock, schedule } = open();
  const jobs = Array.from({ length: 100 }, (_, index) => recorder(clock, `job-${index}`, { everyMs: 15_000 }));
  for (const job of jobs) schedule.add(job);
  await clock.advance(15_000);
  const firsts = jobs.map((job) => (job.times[0] ?? Number.NaN) - start);
  expect(firsts.every((first) => first >= 0 && first < 15_000)).toBe(true);
  expect(new Set(firsts.map((first) => Math.floor(first / 1_000))).size).toBeGreaterThan(10);
});

test('times only go forward, whatever the timing', async () => {
  const timing = fc.oneof(
    fc.record({ everyMs: fc.integer({ min: 50, max: 5_000 }), jitterMs: fc.integer({ min: 0, max: 5_000 }) }),
    fc.constantFrom({ cron: '*/5 * * * * *', timezone: 'Europe/Paris' }, { cron: '* * * * *', timezone: 'UTC' }),
  );
  await fc.assert(
    fc.asyncProperty(timing, fc.string({ minLength: 1 }), async (timing, id) => {
      const { clock, schedule } = open();
      const job = recorder(clock, id, timing);
      schedule.add(job);
      await clock.advance(10_000);
      await schedule.stop();
      const { planned } = job;
      expect(planned.every((time, index) => index === 0 || time > (planned[index - 1] ?? 0))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

describe('a cron job', () => {
  test('runs at its local time, in spring too', async () => {
    const { clock, schedule } = open(Date.parse('2027-03-26T12:00:00Z'));
    const job = recorder(clock, 'nightly', { cron: '30 2 * * *', timezone: 'Europe/Paris' });
    schedule.add(job);
    await clock.advanceTo(Date.parse('2027-03-29T12:00:00Z'));
    expect(job.times.map((time) => new Date(time).toISOString())).toEqual([
      '2027-03-27T01:30:00.000Z',
      '2027-03-28T01:00:00.000Z',
      '2027-03-29T00:30:00.000Z',
    ]);
  });

  test('that was missed while the process was down is made up once', async () => {
    const { clock, schedule } = open();
    const job = recorder(clock, 'nightly', { cron: '0 3 * * *', timezone: 'UTC' });
    schedule.add({ ...job, lastRunAt: Date.parse('2026-11-15T03:00:00Z') });
    await clock.advance(60_000);
    expect(job.times).toHaveLength(1);
    await clock.advanceTo(Date.parse('2026-11-21T03:00:00Z'));
    expect(job.times).toHaveLength(2);
  });

  test('that was not missed waits for its time', async () => {
    const { clock, schedule } = open();
    const job = recorder(clock, 'nightly', { cron: '0 3 * * *', timezone: 'UTC' });
    schedule.add({ ...job, lastRunAt: Date.parse('2026-11-20T03:00:00Z') });
    await clock.advance(3_600_000);
    expect(job.times).toEqual([]);
    expect(job.planned).toEqual([Date.parse('2026-11-21T03:00:00Z')]);
  });

  test('that never comes is no error', async () => {
    const { clock, schedule } = open(Date.parse('2026-11-20T10:00:00Z'));
    const job = recorder(clock, 'never', { cron: '0 0 30W 2 *', timezone: 'UTC' });
    const handle = schedule.add(job);
    expect(job.planned).toEqual([]);
    await handle.trigger();
    expect(job.times).toHaveLength(1);
  });
});

test('after a jump of the clock a job runs once, not once for each time it missed', async () => {
  const { clock, schedule } = open();
  let jumpMs = 0;
  const jumping = { ...clock, now: () => clock.now() + jumpMs };
  const { lines } = open();
  const jumped = createSchedule({ clock: jumping, log: createLog({ level: 'error', name: String(lines.length) }) });
  opened.push(jumped);
  const every = recorder(clock, 'every', { everyMs: 1_000 });
  const cron = recorder(clock, 'cron', { cron: '0 * * * *', timezone: 'UTC' });
  jumped.add(every);
  jumped.add(cron);
  await clock.advance(2_500);
  const before = every.times.length;
  jumpMs = 5 * 3_600_000;
  await clock.advance(1_000);
  expect(every.times.length - before).toBe(1);
  // A long wait looks at the clock every five minutes.
  await clock.advance(300_000);
  expect(cron.times).toHaveLength(1);
  await schedule.stop();
});

test('a clock that is set back does not stop an interval job', async () => {
  const { clock } = open();
  let jumpMs = 0;
  const schedule = createSchedule({
    clock: { ...clock, now: () => clock.now() + jumpMs },
    log: createLog({ level: 'error', name: 'test' }),
  });
  opened.push(schedule);
  const job = recorder(clock, 'a', { everyMs: 60_000 });
  schedule.add(job);
  await clock.advance(61_000);
  jumpMs = -86_400_000;
  const before = job.times.length;
  await clock.advance(600_000);
  expect(job.times.length - before).toBeGreaterThanOrEqual(9);
});

describe('a job that throws', () => {
  test('a Failure is logged with its reason and runs again', async () => {
    const { clock, schedule, lines, bugs } = open();
    let runs = 0;
    schedule.add({
      id: 'flaky',
      timing: { everyMs: 1_000 },
      async run() {
        runs += 1;
        throw new Failure('Cannot reach "x": password=hunter2', { recoverable: true });
      },
    });
    await clock.advance(3_500);
    expect(runs).toBeGreaterThan(2);
    expect(bugs).toEqual([]);
    expect(lines[0]).toContain('"job":"flaky"');
    expect(lines.join('')).not.toContain('hunter2');
  });

  test('anything else is a bug that reaches the top', async () => {
    const { clock, schedule, bugs } = open();
    const handle = schedule.add({
      id: 'buggy',
      timing: { everyMs: 10_000 },
      run: async () => Promise.reject(new RangeError('oops')),
    });
    await clock.advance(5_000);
    expect(bugs).toEqual([new RangeError('oops')]);
    await expect(handle.trigger()).rejects.toThrow('oops');
  });
});

test('a name is used once at a time, and an interval is longer than nothing', () => {
  const { clock, schedule } = open();
  schedule.add(recorder(clock, 'a', { everyMs: 1_000 }));
  expect(() => schedule.add(recorder(clock, 'a', { everyMs: 1_000 }))).toThrow('twice');
  expect(() => schedule.add(recorder(clock, 'b', { everyMs: 0 }))).toThrow('every 0 ms');
});
