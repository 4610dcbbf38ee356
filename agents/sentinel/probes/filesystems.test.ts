import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Reading } from '#agents/sentinel/check.ts';
import { type Filesystem, observeSpace, parseFilesystems, parseInodes, parseMounts } from './filesystems.ts';

const limits = { warning: 85, critical: 95, warningFreeBytes: 20 * 1_024 ** 3, criticalFreeBytes: 5 * 1_024 ** 3 };
const giB = 1_024 ** 2;

const debian = `Filesystem     Type     1024-blocks      Used Available Capacity Mounted on
udev           devtmpfs     2001234         0   2001234       0% /dev
tmpfs          tmpfs         402652      1264    401388       1% /run
/dev/sda1      ext4        40470732  33200112   5182988      87% /
/dev/sda1      ext4        40470732  33200112   5182988      87% /var/lib/docker/volumes/a b/_data
overlay        overlay     40470732  33200112   5182988      87% /var/lib/docker/overlay2/f00/merged
/dev/loop3     squashfs       65536     65536         0     100% /snap/core20/1
rpool/data     zfs       1000000000 100000000 900000000      10% /rpool/data
/dev/sdb1      ext4         1000000   1000000         0     100% /mnt/with blank
/dev/sdc1      ext4               0         0         0       -  /mnt/broken
`;

const busybox = `Filesystem           Type       1024-blocks    Used Available Capacity Mounted on
/dev/mmcblk0p2       ext4         122546800  8461304 109063544   7% /
tmpfs                tmpfs            51200       40     51160   0% /run
`;

describe('df', () => {
  test('of Debian: storage only, each once, blanks in names', () => {
    expect(parseFilesystems(debian).map(({ mount, type }) => `${type} ${mount}`)).toEqual([
      'ext4 /',
      'zfs /rpool/data',
      'ext4 /mnt/with blank',
    ]);
  });

  test('of busybox', () => {
    expect(parseFilesystems(busybox)).toEqual([
      { source: '/dev/mmcblk0p2', type: 'ext4', mount: '/', usedKb: 8_461_304, availableKb: 109_063_544 },
    ]);
  });

  test('of a container, whose root is an overlay', () => {
    const text = 'overlay overlay 196608 190000 6608 97% /\ntmpfs tmpfs 65536 0 65536 0% /dev\n';
    expect(parseFilesystems(text).map(({ mount }) => mount)).toEqual(['/']);
  });

  test('of garbage is nothing', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 2_000 }), (text) => {
        for (const { usedKb, availableKb } of parseFilesystems(text)) expect(usedKb + availableKb).toBeGreaterThan(0);
      }),
    );
    expect(parseFilesystems('df: /mnt: Stale file handle')).toEqual([]);
  });

  test('-i: free inodes, without file systems that have none', () => {
    const text = `Filesystem Inodes IUsed IFree IUse% Mounted on
/dev/sda1 2621440 2600000 21440 100% /
/dev/sdb1 0 0 0 - /btrfs
`;
    expect([...parseInodes(text)]).toEqual([['/', { used: 2_600_000, free: 21_440 }]]);
  });
});

test('mounts tell what is read-only, with blanks in their names', () => {
  const mounts = parseMounts(String.raw`/dev/sda1 / ext4 rw,errors=remount-ro 0 0
/dev/sdb1 /mnt/with\040blank ext4 ro,relatime 0 0`);
  expect([...mounts]).toEqual([
    ['/', false],
    ['/mnt/with blank', true],
  ]);
});

function readingOf(totalGiB: number, percent: number): Extract<Reading, { is: 'level' }> {
  const usedKb = Math.round(totalGiB * giB * (percent / 100));
  const filesystem: Filesystem = {
    source: 'x',
    type: 'ext4',
    mount: '/',
    usedKb,
    availableKb: totalGiB * giB - usedKb,
  };
  const { reading } = observeSpace(filesystem, limits);
  if (reading.is !== 'level') throw new Error('not a level');
  return reading;
}

describe('space', () => {
  test('is judged by percent on an ordinary disk', () => {
    expect(readingOf(40, 86)).toMatchObject({
      warning: { trigger: 85, clear: 82 },
      critical: { trigger: 95, clear: 92 },
    });
  });

  test('is judged by what is left on a huge disk', () => {
    const { warning, critical } = readingOf(10_240, 96);
    expect(warning?.trigger).toBeCloseTo(100 - (100 * 20) / 10_240, 6);
    expect(critical?.trigger).toBeCloseTo(100 - (100 * 5) / 10_240, 6);
  });

  test('always clears below where it fires, and a full disk is always critical', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), (totalGiB) => {
        const { value, warning, critical } = readingOf(totalGiB, 100);
        expect(warning?.clear).toBeLessThan(warning?.trigger ?? 0);
        expect(critical?.clear).toBeLessThan(critical?.trigger ?? 0);
        expect(value).toBeGreaterThanOrEqual(critical?.trigger ?? Infinity);
        expect(critical?.trigger).toBeGreaterThanOrEqual(warning?.trigger ?? Infinity);
      }),
    );
  });
});
