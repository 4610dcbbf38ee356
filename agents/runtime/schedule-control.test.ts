import { Writable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { createLog } from './log.ts';
import { createSchedule, type Schedule, type ScheduledJob, type Timing } from './schedule.ts';
import { createVirtualClock, type VirtualClock } from '../../test/parts/virtual-clock.ts';

const opened: Schedule[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((schedule) => schedule.stop()));
});

function open() {
  const clock = createVirtualClock(Date.parse('2026-11-20T10:00:00Z'));
  const lines: string[] = [];
  const destination = new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) });
  const schedule = createSchedule({ clock, log: createLog({ level: 'debug', name: 'test', destination }) });
  opened.push(schedule);
  return { clock, schedule, lines };
}

function recorder(clock: VirtualClock, id: string, timing: Timing): ScheduledJob & { times: number[] } {
  const times: number[] = [];
  return { id, timing, times, run: async () => void times.push(clock.now()) };
}

describe('a trigger', () => {
  test('runs the job at once and leaves its times as they are', async () => {
    const { clock, schedule } = open();
    const job = recorder(clock, 'a', { everyMs: 60_000 });
    const handle = schedule.add(job);
    await clock.advance(30_000);
    await handle.trigger();
    await clock.advance(60_000);
    expect(job.times).toHaveLength(3);
    expect((job.times[2] ?? 0) - (job.times[0] ?? 0)).toBe(60_000);
  });

  test('while the job runs asks for exactly one more run, after it', async () => {
    const { clock, schedule } = open();
    const times: number[] = [];
    const handle = schedule.add({
      id: 'slow',
      timing: { everyMs: 3_600_000 },
      async run() {
        times.push(clock.now());
        await clock.sleep(10_000);
      },
    });
    await clock.advance(2_000);
    const triggered = Promise.all([handle.trigger(), handle.trigger(), handle.trigger()]);
    await clock.advance(30_000);
    await triggered;
    expect(times).toHaveLength(2);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBe(10_000);
  });

  test('of a removed job does nothing', async () => {
    const { clock, schedule } = open();
    const job = recorder(clock, 'a', { everyMs: 1_000 });
    const handle = schedule.add(job);
    handle.remove();
    await handle.trigger();
    await clock.advance(10_000);
    expect(job.times).toEqual([]);
    schedule.add(job);
  });
});

describe('stopping', () => {
  test('aborts what runs and waits until it ended', async () => {
    const { clock, schedule, lines } = open();
    let end = '';
    schedule.add({
      id: 'long',
      timing: { everyMs: 1_000 },
      async run(signal) {
        await clock.sleep(3_600_000, signal).catch(() => undefined);
        end = signal.aborted ? 'aborted' : 'done';
        signal.throwIfAborted();
      },
    });
    await clock.advance(1_500);
    await schedule.stop();
    expect(end).toBe('aborted');
    expect(lines).toEqual([]);
    expect(clock.pending()).toBe(0);
  });

  test('leaves nothing that a later add could start', async () => {
    const { clock, schedule } = open();
    await schedule.stop();
    const job = recorder(clock, 'late', { everyMs: 1_000 });
    await schedule.add(job).trigger();
    await clock.advance(5_000);
    expect(job.times).toEqual([]);
  });
});
