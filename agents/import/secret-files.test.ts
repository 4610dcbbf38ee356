import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { secretLines, writeSecrets } from './secret-files.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'lares-secrets-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const secret = { file: 'secrets/a', value: 'planted', about: 'a key' };

test('a secret is in a file and a folder of this user alone', () => {
  expect(writeSecrets([secret], folder)).toEqual({ written: [join(folder, 'secrets/a')], kept: [] });
  const modes = ['secrets', 'secrets/a'].map((file) => (statSync(join(folder, file)).mode & 0o777).toString(8));
  expect(modes).toEqual(['700', '600']);
});

test('one that is there already is left, which is told, as are the rights of its folder', () => {
  mkdirSync(join(folder, 'secrets'));
  chmodSync(join(folder, 'secrets'), 0o750);
  writeFileSync(join(folder, 'secrets/a'), 'older');
  const outcome = writeSecrets([secret], folder);
  expect(secretLines(outcome)).toEqual([expect.stringMatching(/^Left .*secrets\/a as it is/)]);
  expect(readFileSync(join(folder, 'secrets/a'), 'utf8')).toBe('older');
  expect((statSync(join(folder, 'secrets')).mode & 0o777).toString(8)).toBe('750');
});

test('a link that leads elsewhere is not followed', () => {
  mkdirSync(join(folder, 'secrets'));
  symlinkSync(join(folder, 'elsewhere'), join(folder, 'secrets/a'));
  expect(() => writeSecrets([secret], folder)).toThrow('EEXIST');
});
