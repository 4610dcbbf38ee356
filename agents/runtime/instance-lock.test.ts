import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { lockInstance } from './instance-lock.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a second holder of the same name is refused until the first lets go', () => {
  const first = lockInstance(folder, 'crew');
  expect(() => lockInstance(folder, 'crew')).toThrow('another Lares already uses the state folder');
  first.release();
  lockInstance(folder, 'crew').release();
});

test('other names in the same folder are free', () => {
  const first = lockInstance(folder, 'sentinel');
  expect(() => lockInstance(folder, 'triage').release()).not.toThrow();
  first.release();
});

test('a place where no file can be made is a Failure', () => {
  expect(() => lockInstance('/proc', 'crew')).toThrow(Failure);
});
