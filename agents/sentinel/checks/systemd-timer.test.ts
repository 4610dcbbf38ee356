import { describe, expect, test } from 'vitest';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { namedProblems } from '../../../test/parts/problems.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './systemd-timer.ts';

kindContract(check, () => ({}));

/** Epoch seconds. */
const now = 1_795_176_000;
const hour = 3_600;

interface Fake {
  name: string;
  last?: number;
  next?: number | null;
  active?: string;
  file?: string;
  job?: { active: string; since?: number; type?: string };
}

/** As systemd 252 prints them. */
function output(timers: readonly Fake[], at = now): string {
  const list = timers.map(({ name, last, next }) => ({
    next: next === undefined ? (at + hour) * 1e6 : next === null ? null : next * 1e6,
    left: 0,
    last: last === undefined ? null : last * 1e6,
    passed: 0,
    unit: `${name}.timer`,
    activates: `${name}.service`,
  }));
  const states = timers.map(
    ({ name, active = 'active', file = 'enabled' }) => `Id=${name}.timer\nActiveState=${active}\nUnitFileState=${file}`,
  );
  const jobs = timers.map(
    ({ name, job }) =>
      `Type=${job?.type ?? 'oneshot'}\nId=${name}.service\nActiveState=${job?.active ?? 'inactive'}\nInactiveExitTimestamp=${job?.since === undefined ? '' : `@${job.since}`}`,
  );
  return sectionsText({
    now: String(at),
    list: JSON.stringify(list),
    timers: states.join('\n\n'),
    jobs: jobs.join('\n\n'),
    done: '',
  });
}

function watcher(options: object = {}) {
  const context = checkContext();
  const parsed = check.options.parse(options);
  return (timers: readonly Fake[], at = now) =>
    check.observe(parsed, { ...context, probe: answering(output(timers, at)) });
}

describe('timers', () => {
  test('that start when they should are well, and counted', async () => {
    const found = await watcher()([{ name: 'apt-daily', last: now - hour }, { name: 'logrotate' }]);
    expect(namedProblems(found)).toEqual([]);
    expect(found[0]?.summary).toBe('looked at 2 timers, 2 of them active');
  });

  test.each<[string, Fake, string[]]>([
    [
      'overdue',
      { name: 'backup', last: now - 25 * hour, next: now - hour },
      ['warning timer-missed backup.timer: backup.timer should have started 1h ago'],
    ],
    ['a little late', { name: 'backup', last: now - 24 * hour, next: now - 120 }, []],
    [
      'overdue while its job runs',
      { name: 'backup', next: now - hour, job: { active: 'activating', since: now - hour } },
      [],
    ],
    [
      'enabled and stopped',
      { name: 'backup', active: 'inactive', next: null },
      ['warning timer-inactive backup.timer: backup.timer is enabled and not active: it starts nothing'],
    ],
    ['disabled and stopped', { name: 'backup', active: 'inactive', file: 'disabled', next: null }, []],
    [
      'blocked by a job that never ends',
      {
        name: 'backup',
        last: now - 60 * hour,
        next: now - 36 * hour,
        job: { active: 'activating', since: now - 60 * hour },
      },
      [
        'warning timer-job-hangs backup.service: backup.service runs since 2d12h, so backup.timer cannot start it again',
      ],
    ],
    [
      'of a service that runs for ever',
      { name: 'web', next: now + hour, job: { active: 'active', since: now - 900 * hour, type: 'simple' } },
      [],
    ],
  ])('%s', async (_name, timer, problems) => {
    expect(namedProblems(await watcher()([timer]))).toEqual(problems);
  });

  test('that are enabled and stand in no list are told, but not those whose own conditions keep them away', async () => {
    const text = sectionsText({
      now: String(now),
      list: '[]',
      timers:
        'Id=job.timer\nLoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\nConditionResult=no\nConditionTimestamp=\n\nId=fstrim.timer\nActiveState=inactive\nUnitFileState=enabled\nConditionResult=no\nConditionTimestamp=Fri 2026-11-20 21:52:19 UTC\n\nId=no.timer\nLoadState=not-found\nActiveState=inactive\nUnitFileState=',
      jobs: '',
      done: '',
    });
    const found = await check.observe(check.options.parse({}), checkContext({ probe: answering(text) }));
    expect(namedProblems(found)).toEqual([
      'warning timer-inactive job.timer: job.timer is enabled and not active: it starts nothing',
    ]);
  });

  test('without a next start are missed after twice their usual time', async () => {
    const look = watcher();
    const timer = (last: number): Fake[] => [{ name: 'sync', last, next: null }];
    await look(timer(now - hour));
    await look(timer(now), now);
    expect(namedProblems(await look(timer(now), now + 2 * hour))).toEqual([]);
    expect(namedProblems(await look(timer(now), now + 3 * hour))).toEqual([
      'warning timer-missed sync.timer: sync.timer has no next start; it started last 3h ago, usually every 1h',
    ]);
  });

  test('that are named have to be there, be active and start often enough', async () => {
    const look = watcher({ timers: { 'backup.timer': '26h' } });
    expect(namedProblems(await look([{ name: 'backup', last: now - 20 * hour }]))).toEqual([]);
    expect(namedProblems(await look([{ name: 'backup', last: now - 27 * hour }]))).toEqual([
      'critical timer-missed backup.timer: backup.timer started last 1d3h ago, longer than 1d2h',
    ]);
    expect(namedProblems(await look([{ name: 'backup', last: now, active: 'inactive', file: 'disabled' }]))).toEqual([
      'critical timer-inactive backup.timer: backup.timer is not active: it starts nothing',
    ]);
    expect(namedProblems(await look([]))).toEqual([
      'unknown timer-missed backup.timer: there is no timer "backup.timer" loaded: check its name',
    ]);
  });

  test('that are ignored are, and a host without systemd is unknown', async () => {
    const overdue = { name: 'backup', next: now - hour };
    expect(namedProblems(await watcher({ ignore: ['back*'] })([overdue]))).toEqual([]);
    const probe = answering(sectionsText({ none: '', done: '' }));
    expect(namedProblems(await check.observe(check.options.parse({}), checkContext({ probe })))).toEqual([
      'unknown timer-missed timers: this host has no systemd',
    ]);
  });

  test.each(['backup', 'backup.service', '-x.timer ', '--help'])('"%s" is no name of a timer', (name) => {
    expect(check.options.safeParse({ timers: { [name]: '1h' } }).success).toBe(false);
  });
});
