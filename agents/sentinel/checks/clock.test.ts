import { describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { offsetFloor, parseHostTime, readSynchronisation } from '#agents/sentinel/probes/host-clock.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './clock.ts';

kindContract(check, () => ({}));

const tracking = (leap: string): string =>
  `A29FC87B,162.159.200.123,4,1763676000.123,-0.000012,0.00002,0.0001,-12.3,0.01,0.05,0.012,0.0008,1030.1,${leap}`;

function printed(parts: Record<string, string>): string {
  return Object.entries(parts)
    .map(([name, text]) => `\n@@${name}\n${text}\n\n@@end ${name} 0\n`)
    .join('');
}

async function look(parts: Record<string, string>, ours = { beganAt: 1_000_000_000_000, endedAt: 1_000_000_000_400 }) {
  const times = [ours.beganAt, ours.endedAt];
  const base = checkContext({ probe: answering(printed(parts)) });
  const context = { ...base, clock: { ...base.clock, now: () => times.shift() ?? 0 } };
  const found = await check.observe(check.options.parse({}), context);
  expect(faultsOf(found)).toEqual([]);
  return found;
}

function told({ condition, reading, summary }: Observation): string {
  if (reading.is === 'state') return `${reading.ok ? 'ok' : reading.severity} ${condition}: ${summary}`;
  return `${reading.is} ${condition}: ${summary}`;
}

const right = { before: '1000000000.100000000', after: '1000000000.300000000' };

describe('the clock', () => {
  test('of this machine agrees with itself', async () => {
    const found = await check.observe(check.options.parse({ synchronised: false }), checkContext());
    expect(found).toHaveLength(1);
    expect(found[0]?.reading).toMatchObject({
      is: 'level',
      value: 0,
      warning: { trigger: 1 },
      critical: { trigger: 30 },
    });
  });

  test.each<[string, Record<string, string>, string]>([
    [
      'agrees within the way there and back',
      right,
      "the clock agrees with this machine's, as far as 400 ms of way tell",
    ],
    ['is ahead', { before: '1000000045.100000000', after: '1000000045.300000000' }, 'the clock is 44.9 s ahead'],
    ['is behind', { before: '999999990.100000000', after: '999999990.300000000' }, 'the clock is 9.9 s behind'],
    [
      'tells whole seconds only',
      { before: '999999999.%N', after: '999999999.%N' },
      "the clock agrees with this machine's, as far as 400 ms of way tell",
    ],
  ])('%s', async (_what, times, words) => {
    expect((await look(times))[0]?.summary).toBe(words);
  });

  test('is never more wrong than the way there and back can prove', () => {
    const time = (ms: number) => ({ ms, stepMs: 0 });
    const ours = { beganAt: 1_000, endedAt: 5_000 };
    expect(offsetFloor({ first: time(1_500), last: time(4_000) }, ours)).toBe(0);
    expect(offsetFloor({ first: time(6_000), last: time(8_000) }, ours)).toBe(3_000);
    expect(offsetFloor({ first: time(0), last: time(100) }, ours)).toBe(-1_000);
  });

  test.each(['', 'x', '12', '99999999999999'])('%j is no time', (text) => {
    expect(parseHostTime(text)).toBeUndefined();
  });
});

describe('what keeps it right', () => {
  test.each<[string, Record<string, string>, string]>([
    [
      'chrony in step',
      { tracking: tracking('Normal') },
      'ok clock-unsynchronised: the clock is kept right: chrony: Normal, stratum 4, source 162.159.200.123',
    ],
    [
      'chrony without a source',
      { tracking: tracking('Not synchronised'), timedatectl: 'NTPSynchronized=yes' },
      'warning clock-unsynchronised: nothing keeps the clock right: chrony: Not synchronised, stratum 4, source 162.159.200.123',
    ],
    [
      'timesyncd in step',
      { timedatectl: 'Timezone=UTC\nNTP=yes\nNTPSynchronized=yes' },
      'ok clock-unsynchronised: the clock is kept right: synchronised, its time service is on',
    ],
    [
      'nothing in step',
      { timedatectl: 'NTP=no\nNTPSynchronized=no', tracking: '506 Cannot talk to daemon' },
      'warning clock-unsynchronised: nothing keeps the clock right: not synchronised, its time service is off or another one',
    ],
    [
      'a container',
      { container: 'lxc', timedatectl: 'NTP=no\nNTPSynchronized=no' },
      'asleep clock-unsynchronised: the machine below keeps the clock',
    ],
    [
      'neither program',
      {},
      'unknown clock-unsynchronised: cannot look at clock: neither timedatectl nor chronyc tells whether the clock is kept right',
    ],
  ])('%s', async (_what, parts, words) => {
    const found = (await look({ ...right, ...parts })).at(-1);
    expect(found === undefined ? undefined : told(found)).toBe(words);
  });

  test('has ten minutes after a start', async () => {
    const found = await look({ ...right, tracking: tracking('Not synchronised') });
    expect(found.at(-1)?.holdMs).toBe(600_000);
  });

  test('a short line of chrony says nothing', () => {
    expect(readSynchronisation({ tracking: '1,2,3' })).toBeUndefined();
  });
});
