import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { step } from './delete-old-files.ts';

const run = promisify(execFile);

describe('deleting old files', () => {
  let folder: string;
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'lares-old-')));
    for (const name of ['cache', 'other']) {
      mkdirSync(join(folder, name, 'deep er'), { recursive: true });
      for (const file of ['old', 'deep er/old', 'new']) writeFileSync(join(folder, name, file), '');
      for (const file of ['old', 'deep er/old']) utimesSync(join(folder, name, file), 0, 0);
    }
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const has = (file: string): boolean => existsSync(join(folder, file));

  async function deleteOld(path: string): Promise<void> {
    const rendered = step.render({ path, days: '30' });
    if (!rendered.ok) throw new Error('it was not rendered');
    const [program = '', ...rest] = rendered.commands[0]?.argv ?? [];
    await run(program, rest);
  }

  it('takes what is old, in the folder and below it, and nothing else', async () => {
    symlinkSync(join(folder, 'other'), join(folder, 'cache', 'link'));
    await deleteOld(join(folder, 'cache'));
    expect(['cache/old', 'cache/deep er/old', 'cache/new', 'other/old'].map(has)).toEqual([false, false, true, true]);
  });

  it('deletes nothing when the folder, or one above it, became a link after it was looked at', async () => {
    renameSync(join(folder, 'cache'), join(folder, 'away'));
    symlinkSync(join(folder, 'other'), join(folder, 'cache'));
    await expect(deleteOld(join(folder, 'cache'))).rejects.toThrow('lies behind a link');
    await expect(deleteOld(join(folder, 'cache', 'deep er'))).rejects.toThrow('lies behind a link');
    expect(['other/old', 'other/deep er/old', 'away/old'].map(has)).toEqual([true, true, true]);
  });

  it('says so when there is no such folder', async () => {
    await expect(deleteOld(join(folder, 'absent'))).rejects.toThrow('is no folder');
  });
});
