import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FleetHost } from './host.ts';
import { Lab, labMissing } from './lab.ts';

const missing = await labMissing();
if (missing !== undefined && process.env['LARES_REQUIRE_PARTS'] === '1')
  throw new Error(`The lab is required: ${missing}`);

describe.skipIf(missing !== undefined)(
  `a lab of real hosts${missing === undefined ? '' : ` (SKIPPED: ${missing})`}`,
  () => {
    let lab: Lab;
    let hosts: FleetHost[];
    beforeAll(async () => {
      lab = await Lab.open();
      hosts = await lab.boot({ name: 'one', number: 11 }, { name: 'two', number: 12, disk: '64M' });
    }, 180_000);
    afterAll(async () => lab?.[Symbol.asyncDispose](), 60_000);

    test('systemd is pid 1 and nothing has failed', async () => {
      expect(await hosts[0]?.run('cat /proc/1/comm; systemctl --failed --no-legend')).toBe('systemd\n');
    });

    test('a small disk can be filled', async () => {
      await expect(hosts[1]?.run('fallocate -l 100M /fill')).rejects.toThrow('No space left');
    });

    test('a killed host comes back', async () => {
      await hosts[0]?.fault('kill');
      await hosts[0]?.heal();
      expect(await hosts[0]?.run('hostname')).toBe('one\n');
    }, 60_000);
  },
);
