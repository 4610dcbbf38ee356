import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '#config/load.ts';
import { Folder } from '../../test/parts/command.ts';
import type { CommandRunner } from '../runtime/command.ts';
import { localRunner } from '../runtime/local-command.ts';
import { examineSudo } from './sudo.ts';

const units = { id: 'units', kind: 'systemd-unit', host: 'web', units: ['shop', 'timer@a:b.timer'] };
const site = {
  id: 'site',
  kind: 'http',
  host: 'web',
  labels: { unit: 'nginx.service' },
  url: 'http://web/',
};
const elsewhere = { id: 'other', kind: 'systemd-unit', host: 'db', units: ['postgresql'] };

/** What the doctor says of sudo on `web`, where sudo ends as given and everything else is this machine. */
async function examined(code: number, checks: readonly object[] = [units, site, elsewhere]) {
  using folder = new Folder();
  const file = join(folder.path, 'lares.yaml');
  const hosts = { web: { sudo: true }, db: { sudo: true } };
  writeFileSync(file, stringify({ state: 'state', hosts, checks }));
  const runner: CommandRunner = {
    run: async (argv, options) =>
      argv[0] === 'sudo'
        ? { end: 'exited', code, output: { stdout: '', stderr: '', truncated: false } }
        : localRunner.run(['sh', '-c', `test "$4" = systemctl && echo /usr/bin/systemctl`, ...argv], options),
  };
  const { signal } = new AbortController();
  const loaded = await loadConfig(file);
  return examineSudo({ subject: 'web (act)', host: 'web', user: 'lares-act', runner, loaded, signal });
}

test('a login that may do nothing is given the lines for the units that are watched there by name', async () => {
  const { ok, mend = '' } = await examined(1);
  expect(ok).toBe(false);
  const rule = 'lares-act ALL=(root) NOPASSWD: /usr/bin/systemctl';
  expect(mend.split('\n').slice(1)).toEqual([
    `${rule} reset-failed shop.service`,
    `${rule} start shop.service`,
    String.raw`${rule} reset-failed timer@a\:b.timer`,
    String.raw`${rule} start timer@a\:b.timer`,
    `${rule} reset-failed nginx.service`,
    `${rule} start nginx.service`,
    `${rule} restart shop.service`,
    String.raw`${rule} restart timer@a\:b.timer`,
    `${rule} restart nginx.service`,
  ]);
});

test('where nothing is watched by name the guide is named alone', async () => {
  const { mend } = await examined(1, [elsewhere]);
  expect(mend).toBe('allow the commands of the playbooks you want (playbooks/README.md, "Sudo")');
});

test('a login that may do something is well, and a host without sudo is told as one', async () => {
  expect(await examined(0)).toEqual({ subject: 'web (act)', ok: true, text: 'lares-act can log in and use sudo' });
  expect((await examined(127)).text).toBe('lares-act can log in, but sudo is not installed there');
});
