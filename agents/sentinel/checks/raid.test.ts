import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseMdstat } from '#agents/sentinel/probes/mdstat.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './raid.ts';

kindContract(check, () => ({}));

const healthy = `Personalities : [raid1] [raid6] [raid5] [raid4]
md0 : active raid1 sdb1[1] sda1[0]
      1046528 blocks super 1.2 [2/2] [UU]
      bitmap: 0/1 pages [0KB], 65536KB chunk

md127 : active (auto-read-only) raid0 sdd1[1] sdc1[0]
      2093056 blocks super 1.2 512k chunks

unused devices: <none>
`;
const degraded = healthy.replace('sdb1[1] sda1', 'sdb1[1](F) sda1').replace('[2/2] [UU]', '[2/1] [U_]');
const rebuilding = healthy.replace(
  '[2/2] [UU]\n',
  '[2/1] [U_]\n      [==>..................]  recovery = 12.6% (132096/1046528) finish=1.1min speed=13209K/sec\n',
);

function look(mdstat: string | { text: string; code: number }, options: object = {}): Promise<Observation[]> {
  const probe = answering(sectionsText({ mdstat, done: '' }));
  return check.observe(check.options.parse(options), checkContext({ probe }));
}

describe('/proc/mdstat', () => {
  test('healthy arrays are well', async () => {
    const found = await look(healthy, { arrays: ['md0'] });
    expect(problems(found)).toEqual([]);
    expect(found.map(({ summary }) => summary)).toContain('array md0 (raid1) is active with 2 of 2 disks');
  });

  test('a failed disk degrades the array and is named', async () => {
    expect(problems(await look(degraded))).toEqual([
      'critical raid-degraded: array md0 (raid1) is active with 1 of 2 disks, failed: sdb1',
    ]);
  });

  test('a rebuild is told with what is left, the monthly check is not', async () => {
    expect(problems(await look(rebuilding))).toEqual([
      'critical raid-degraded: array md0 (raid1) is active with 1 of 2 disks',
      'info raid-rebuilding: array md0: recovery at 12.6 %, 1.1min left',
    ]);
    const checking = rebuilding.replace('[2/1] [U_]', '[2/2] [UU]').replace('recovery', 'check');
    expect(problems(await look(checking))).toEqual([]);
  });

  test('an array that was not started, and one that is not there', async () => {
    const inactive = healthy.replace('md0 : active raid1 sdb1[1] sda1[0]', 'md0 : inactive sda1[0](S)');
    expect(problems(await look(inactive, { arrays: ['md1'] }))).toEqual([
      'critical raid-missing: array md1 is not assembled',
      expect.stringContaining('critical raid-degraded: array md0 (no level) is inactive'),
    ]);
  });

  test('a kernel without software RAID is not well', async () => {
    const found = await look({ text: 'cat: /proc/mdstat: No such file or directory', code: 1 });
    expect(problems(found)).toEqual([expect.stringContaining('this kernel has no software RAID')]);
  });
});

test('no text makes the parser throw', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(parseMdstat(`md0 : active ${text}`).length).toBeLessThanOrEqual(50);
    }),
  );
});
