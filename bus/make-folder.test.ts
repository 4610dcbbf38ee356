import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from './failure.ts';
import { makeFolder } from './make-folder.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lares-folder-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('a folder', () => {
  test('is made with those above it, for its user alone', () => {
    makeFolder(join(root, 'a', 'b'));
    expect([join(root, 'a'), join(root, 'a', 'b')].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o700]);
  });

  test('that stands is left as it is, also behind a link', () => {
    mkdirSync(join(root, 'real'), { mode: 0o755 });
    symlinkSync(join(root, 'real'), join(root, 'link'));
    makeFolder(join(root, 'link'));
    expect(statSync(join(root, 'real')).mode & 0o777).toBe(0o755);
  });

  test('is not made where a file stands, nor behind a link to nowhere', () => {
    writeFileSync(join(root, 'file'), '');
    symlinkSync(join(root, 'absent', 'there'), join(root, 'link'));
    for (const name of ['file', 'file/below', 'link']) expect(() => makeFolder(join(root, name))).toThrow(Failure);
  });

  test('below /proc is refused at once', () => {
    expect(() => makeFolder('/proc/lares/state')).toThrow('Cannot keep state: the folder "/proc/lares/state"');
  });
});
