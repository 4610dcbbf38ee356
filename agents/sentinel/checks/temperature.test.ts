import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './temperature.ts';

kindContract(check, () => ({}));

/** A machine with an AMD processor, two equal disks, an NVMe disk and a board whose unused inputs tell nonsense. */
const machine: Record<string, string> = {
  'hwmon/hwmon0/name': 'k10temp',
  'hwmon/hwmon0/temp1_input': '52375',
  'hwmon/hwmon0/temp1_label': 'Tctl',
  'hwmon/hwmon1/name': 'drivetemp',
  'hwmon/hwmon1/device/model': 'WDC WD40EFRX-68',
  'hwmon/hwmon1/temp1_input': '38000',
  'hwmon/hwmon1/temp1_crit': '60000',
  'hwmon/hwmon2/name': 'drivetemp',
  'hwmon/hwmon2/device/model': 'WDC WD40EFRX-68',
  'hwmon/hwmon2/temp1_input': '47000',
  'hwmon/hwmon3/name': 'nvme',
  'hwmon/hwmon3/temp1_input': '51850',
  'hwmon/hwmon3/temp1_label': 'Composite',
  'hwmon/hwmon4/name': 'nct6775',
  'hwmon/hwmon4/temp3_input': '127500',
  'hwmon/hwmon4/temp4_input': '-62000',
  'hwmon/hwmon4/temp5_input': '81000',
  'hwmon/hwmon4/temp5_label': 'SYSTIN',
  'thermal/thermal_zone0/type': 'acpitz',
  'thermal/thermal_zone0/temp': '16800',
};

async function look(files: Record<string, string>, options: object = {}): Promise<Observation[]> {
  const folder = mkdtempSync(join(tmpdir(), 'lares-sensors-'));
  try {
    for (const [file, value] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), `${value}\n`);
    }
    const probe: typeof localRunner = {
      run: (argv, of) => localRunner.run([...argv.slice(0, -1), folder], of),
    };
    return await check.observe(check.options.parse(options), checkContext({ probe }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('sensors', () => {
  test('a machine with a warm disk and a warm board tells just these', async () => {
    const found = await look(machine);
    expect(problems(found)).toEqual([
      'warning temperature-high: drivetemp WDC WD40EFRX-68 #2 has 47 °C',
      'warning temperature-high: nct6775 SYSTIN has 81 °C',
    ]);
    expect(found.map(({ resource }) => resource)).toEqual([
      'sensors',
      'k10temp Tctl',
      'drivetemp WDC WD40EFRX-68',
      'drivetemp WDC WD40EFRX-68 #2',
      'nvme Composite',
      'nct6775 SYSTIN',
    ]);
  });

  test('what is ignored is not looked at', async () => {
    expect(problems(await look(machine, { ignore: ['drivetemp *', 'nct6775 SYS*'] }))).toEqual([]);
  });

  test('a limit of the maker below ours counts', async () => {
    const files = { ...machine, 'hwmon/hwmon0/temp1_input': '69000', 'hwmon/hwmon0/temp1_crit': '68000' };
    expect(problems(await look(files, { ignore: ['nct*', 'drive*'] }))).toEqual([
      'critical temperature-high: k10temp Tctl has 69 °C',
    ]);
  });

  test('a board with thermal zones alone is read by them', async () => {
    const found = await look({ 'thermal/thermal_zone0/type': 'cpu-thermal', 'thermal/thermal_zone0/temp': '86000' });
    expect(problems(found)).toEqual(['critical temperature-high: zone cpu-thermal has 86 °C']);
  });

  test('a machine without sensors is unknown', async () => {
    expect(problems(await look({}))).toEqual([expect.stringContaining('the kernel shows no sensors here')]);
  });
});
