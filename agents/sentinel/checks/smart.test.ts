import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { parseSmart } from '#agents/sentinel/probes/smart.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { FakeCommands } from '../../../test/parts/fake-commands.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './smart.ts';

kindContract(check, () => ({}));

interface Ata {
  passed?: boolean;
  moved?: number;
  waiting?: number;
  celsius?: number;
  hours?: number;
  test?: { lifetime_hours: number; status: { value: number; string: string; passed: boolean } };
}

/** The parts of `smartctl --json=c -a` (7.3) of a spinning disk that are read. */
function ata(of: Ata = {}): object {
  const attribute = (id: number, name: string, value: number): object => ({
    id,
    name,
    value: 200,
    worst: 200,
    thresh: 140,
    raw: { value, string: String(value) },
  });
  return {
    json_format_version: [1, 0],
    smartctl: { version: [7, 3], exit_status: of.passed === false ? 8 : 0 },
    device: { name: '/dev/sda', info_name: '/dev/sda [SAT]', type: 'sat', protocol: 'ATA' },
    model_name: 'WDC WD40EFRX-68N32N0',
    serial_number: 'WD-WCC7K0000001',
    smart_status: { passed: of.passed ?? true },
    power_on_time: { hours: of.hours ?? 30_000 },
    temperature: { current: of.celsius ?? 36 },
    ata_smart_attributes: {
      revision: 16,
      table: [
        attribute(5, 'Reallocated_Sector_Ct', of.moved ?? 0),
        attribute(197, 'Current_Pending_Sector', of.waiting ?? 0),
        attribute(198, 'Offline_Uncorrectable', 0),
      ],
    },
    ata_smart_self_test_log: { standard: { revision: 1, table: of.test === undefined ? [] : [of.test], count: 1 } },
  };
}

function nvme(log: object): object {
  return {
    smartctl: { version: [7, 3], exit_status: 0 },
    device: { name: '/dev/nvme0', type: 'nvme', protocol: 'NVMe' },
    model_name: 'Samsung SSD 980 PRO 1TB',
    smart_status: { passed: true, nvme: { value: 0 } },
    temperature: { current: 62 },
    nvme_smart_health_information_log: {
      critical_warning: 0,
      available_spare: 100,
      available_spare_threshold: 10,
      percentage_used: 3,
      media_errors: 0,
      ...log,
    },
  };
}

async function look(disk: object | string, options: object = {}): Promise<Observation[]> {
  const said = typeof disk === 'string' ? disk : JSON.stringify(disk);
  using fakes = new FakeCommands({ said: { stdout: said } });
  fakes.set(
    'smartctl',
    `case " $* " in *" --scan "*) echo '/dev/sda -d sat # /dev/sda [SAT], ATA device'; exit ;; esac
case " $* " in *" -n standby,3 -a -d "*) exec "${fakes.folder}/said" ;; esac
exit 1`,
  );
  return await check.observe(check.options.parse(options), checkContext({ probe: fakes.probe }));
}

describe('disks', () => {
  test('a healthy one is found, well and named', async () => {
    const found = await look(ata());
    expect(problems(found)).toEqual([]);
    expect(found[1]).toMatchObject({
      resource: '/dev/sda',
      labels: { device: '/dev/sda', model: 'WDC WD40EFRX-68N32N0 WD-WCC7K0000001' },
    });
  });

  test.each<[Ata, string]>([
    [{ passed: false }, 'critical disk-failing'],
    [{ moved: 8 }, 'warning disk-sectors-bad'],
    [{ waiting: 1 }, 'critical disk-sectors-bad'],
    [{ celsius: 46 }, 'warning disk-hot'],
    [{ celsius: 56 }, 'critical disk-hot'],
    [
      { test: { lifetime_hours: 29_000, status: { value: 121, string: 'Completed: read failure', passed: false } } },
      'critical disk-self-test-failed',
    ],
  ])('%j', async (of, expected) => {
    expect(problems(await look(ata(of))).map((text) => text.split(':')[0])).toEqual([expected]);
  });

  test('a self-test that is long ago counts where it is asked for, over the end of its counter', async () => {
    const done = (lifetime_hours: number) => ({
      lifetime_hours,
      status: { value: 0, string: 'Completed without error', passed: true },
    });
    const old = ata({ hours: 30_000, test: done(28_000) });
    expect(problems(await look(old))).toEqual([]);
    expect(problems(await look(old, { selfTest: '60d' })).join()).toMatch(/^warning disk-self-test-old: .* 2000 hours/);
    const wrapped = ata({ hours: 65_536 + 100, test: done(90) });
    expect(problems(await look(wrapped, { selfTest: '60d' }))).toEqual([]);
  });

  test('an NVMe disk may be warm; wear, media errors and its own warnings count', async () => {
    expect(problems(await look(nvme({})))).toEqual([]);
    const found = problems(await look(nvme({ percentage_used: 96, media_errors: 2, critical_warning: 1 })));
    expect(found.map((text) => text.split(':')[0])).toEqual([
      'critical disk-failing',
      'critical disk-sectors-bad',
      'critical disk-worn',
    ]);
    expect(found[0]).toContain('warns: little spare');
  });

  test('one in standby is left asleep', async () => {
    const standby = {
      smartctl: { version: [7, 3], exit_status: 3, messages: [] },
      device: { name: '/dev/sda', type: 'sat' },
    };
    const found = await look(standby);
    expect(found[1]?.reading).toMatchObject({ is: 'asleep' });
    expect(problems(found)).toEqual([]);
  });

  test('an ordinary user is told what to allow; a disk that tells nothing is unknown', async () => {
    const denied = {
      smartctl: {
        exit_status: 2,
        messages: [{ string: 'Smartctl open device: /dev/sda failed: Permission denied', severity: 'error' }],
      },
    };
    expect(problems(await look(denied))).toEqual([expect.stringContaining('only root may read the disks')]);
    const virtual = {
      smartctl: { exit_status: 4, messages: [{ string: 'Unavailable - device lacks SMART capability.' }] },
    };
    expect(problems(await look(virtual, { devices: ['sda'] }))).toEqual([
      expect.stringContaining('lacks SMART capability'),
    ]);
    expect((await look(virtual)).map(({ reading }) => reading.is)).toEqual(['state', 'asleep']);
  });
});

test('no text makes the parser throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(parseSmart(text)?.is).not.toBe('read');
    }),
  );
});

describeWith(['smartctl'], 'smartctl itself', () => {
  test('a device without SMART is unknown, and so is a machine without disks', async () => {
    const found = await check.observe(check.options.parse({ devices: ['/dev/null'] }), checkContext());
    expect(problems(found)).toEqual([
      expect.stringMatching(/^unknown disk-failing \/dev\/null: .*(?:Unable to detect|tells)/),
    ]);
  });
});
