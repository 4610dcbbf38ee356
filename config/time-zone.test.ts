import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Folder, RunningCommand } from '../test/parts/command.ts';
import { isTimeZone, machineZone, zoneToldAs } from './time-zone.ts';

test('a machine that does not say where it is counts as UTC', () => {
  expect(zoneToldAs('Europe/Paris')).toBe('Europe/Paris');
  for (const told of [undefined, '', 'Etc/Unknown', 'Foo/Bar']) expect([told, zoneToldAs(told)]).toEqual([told, 'UTC']);
  expect(isTimeZone(machineZone())).toBe(true);
});

test('an empty TZ, as in a file for Docker, is a machine that does not say it: Lares starts', async () => {
  using folder = new Folder();
  writeFileSync(join(folder.path, 'lares.yaml'), 'defaultChecks: false\nhttp: { port: 0 }\n');
  await using up = new RunningCommand(['up'], { cwd: folder.path, env: { TZ: '' } });
  await up.says(/^Health and metrics at /m);
  up.child.kill('SIGTERM');
  expect(await up.ended()).toBe(0);
});
