import { describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { parseStatusText } from '#agents/sentinel/probes/zfs.ts';
import { zoneOffsetMs } from '#agents/sentinel/probes/zone.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { FakeCommands } from '../../../test/parts/fake-commands.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './zfs.ts';

kindContract(check, () => ({}));

const now = Date.parse('2026-11-20T12:00:00Z');
const healthyList = 'tank\tONLINE\t42\t12\t1000000000000\t580000000000\n';

/** OpenZFS 2.1, Debian 12. */
const degradedText = `  pool: tank
 state: DEGRADED
status: One or more devices could not be used because the label is missing or
\tinvalid.  Sufficient replicas exist for the pool to continue
\tfunctioning in a degraded state.
action: Replace the device using 'zpool replace'.
   see: https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-4J
  scan: scrub repaired 0B in 02:11:07 with 0 errors on Sun Nov  8 02:35:08 2026
config:

\tNAME                        STATE     READ WRITE CKSUM
\ttank                        DEGRADED     0     0     0
\t  mirror-0                  DEGRADED     0     0     0
\t    ata-WDC_WD40EFRX-1      ONLINE       0     0     0
\t    1234567890123456789     UNAVAIL      0     0     3  was /dev/disk/by-id/ata-WDC_WD40EFRX-2-part1

errors: No known data errors
`;
const healthyText = degradedText
  .replaceAll('DEGRADED', 'ONLINE')
  .replace(/^status:[\s\S]*?(?= {2}scan:)/m, '')
  .replace(
    '1234567890123456789     UNAVAIL      0     0     3  was',
    'ata-WDC_WD40EFRX-2      ONLINE       0     0     0  was',
  );

/** OpenZFS 2.3 with `--json-int`. */
const json = JSON.stringify({
  output_version: { command: 'zpool status', vers_major: 0, vers_minor: 1 },
  pools: {
    tank: {
      name: 'tank',
      state: 'ONLINE',
      scan_stats: { function: 'RESILVER', state: 'SCANNING', start_time: 1794609308, end_time: 0, errors: 0 },
      vdevs: {
        tank: {
          name: 'tank',
          vdev_type: 'root',
          state: 'ONLINE',
          read_errors: 0,
          write_errors: 0,
          checksum_errors: 0,
          vdevs: {
            sda: {
              name: 'sda',
              vdev_type: 'disk',
              state: 'ONLINE',
              read_errors: 0,
              write_errors: 4,
              checksum_errors: 0,
            },
          },
        },
      },
      error_count: 2,
    },
  },
});

async function look(
  of: { list: string; status: string; isNew?: boolean },
  options: object = {},
): Promise<Observation[]> {
  using fakes = new FakeCommands();
  fakes.set('answer-list', { stdout: of.list });
  fakes.set('answer-status', { stdout: of.status });
  // Before 2.3 `-j` is an invalid option and ends with 2.
  const refuse = of.isNew === true ? '' : `case " $* " in *" -j "*) echo "invalid option 'j'" >&2; exit 2 ;; esac`;
  fakes.set('zpool', `${refuse}\nexec ${fakes.folder}/answer-$1`);
  const context = checkContext({ probe: fakes.probe });
  return await check.observe(check.options.parse(options), { ...context, clock: { ...context.clock, now: () => now } });
}

describe('pools', () => {
  test('a healthy one is well in health, space, errors and scrub', async () => {
    const found = await look({ list: healthyList, status: healthyText });
    expect(problems(found)).toEqual([]);
    expect(found.map(({ condition }) => condition)).toEqual([
      'zfs-pool-missing',
      'zfs-pool-unhealthy',
      'zfs-pool-full',
      'zfs-pool-fragmented',
      'zfs-errors',
      'zfs-scrub-old',
    ]);
  });

  test('a degraded one is critical and names the device', async () => {
    const list = healthyList.replace('ONLINE', 'DEGRADED');
    const [first, ...others] = problems(await look({ list, status: degradedText }));
    expect(first).toContain('critical zfs-pool-unhealthy: pool tank is DEGRADED: tank DEGRADED');
    expect(others.join()).toContain('1234567890123456789 UNAVAIL (0 read, 0 write, 3 checksum errors)');
  });

  test.each([
    [79, []],
    [80, ['warning zfs-pool-full']],
    [91, ['critical zfs-pool-full']],
  ])('at %i %% full', async (percent, expected) => {
    const found = problems(await look({ list: healthyList.replace('42', String(percent)), status: healthyText }));
    expect(found.map((text) => text.split(':')[0])).toEqual(expected);
  });

  test('a scrub of 36 days ago is old, one that never was is information', async () => {
    const old = healthyText.replace('Sun Nov  8 02:35:08 2026', 'Thu Oct 15 02:35:08 2026');
    expect(problems(await look({ list: healthyList, status: old }))).toEqual([
      'warning zfs-scrub-old: pool tank was scrubbed 36 days ago (wanted every 35d)',
    ]);
    const never = healthyText.replace(/^ {2}scan:.*\n/m, '  scan: none requested\n');
    expect(problems(await look({ list: healthyList, status: never }))).toEqual([
      'info zfs-scrub-old: pool tank was never scrubbed, or resilvered since',
    ]);
  });

  test('the JSON of 2.3 is read: write errors, lost data and a resilver that runs', async () => {
    const found = await look({ list: healthyList, status: json, isNew: true });
    expect(problems(found)).toEqual([
      'critical zfs-errors: pool tank has 2 data errors that could not be repaired; devices: sda ONLINE (0 read, 4 write, 0 checksum errors)',
    ]);
    expect(found.find(({ condition }) => condition === 'zfs-pool-unhealthy')?.summary).toContain('a resilver runs');
    expect(found.some(({ condition }) => condition === 'zfs-scrub-old')).toBe(false);
  });

  test('one that is wanted and not imported is missing; none at all is counted', async () => {
    const found = await look({ list: '', status: 'no pools available\n' }, { pools: ['tank'] });
    expect(problems(found)).toEqual(['critical zfs-pool-missing: pool tank is not imported']);
    const [whole] = await look({ list: '', status: '' });
    expect(whole?.summary).toBe('looked at 0 pools');
  });
});

test('the date of a scrub is in the zone of the host', () => {
  const at = (zone: string): number | undefined =>
    parseStatusText(degradedText, zoneOffsetMs(zone)).get('tank')?.scrubbedAt;
  expect(at('+0000')).toBe(Date.parse('2026-11-08T02:35:08Z'));
  expect(at('-0330')).toBe(Date.parse('2026-11-08T06:05:08Z'));
});
