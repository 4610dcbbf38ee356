import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { checkOwner, makePrivateFolder, roomBelow } from './state-folder.ts';

const folder = mkdtempSync(join(tmpdir(), 'lares-state-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a state folder is made for its user alone', () => {
  makePrivateFolder(join(folder, 'state'));
  expect(statSync(join(folder, 'state')).mode & 0o777).toBe(0o700);
});

test('a folder that holds other things is not shut to others, one of Lares is', () => {
  const shared = join(folder, 'shared');
  mkdirSync(shared, { recursive: true });
  chmodSync(shared, 0o755);
  writeFileSync(join(shared, 'passwd'), '');
  expect(() => makePrivateFolder(shared)).toThrow(
    'set "state" to a folder of its own, or, if nobody else needs it: chmod 700',
  );
  expect(statSync(shared).mode & 0o777).toBe(0o755);
  writeFileSync(join(shared, 'triage.lock'), '');
  makePrivateFolder(shared);
  expect(statSync(shared).mode & 0o777).toBe(0o700);
  const restored = join(shared, 'sentinel');
  mkdirSync(restored);
  chmodSync(restored, 0o755);
  writeFileSync(join(restored, 'sentinel.db'), '');
  makePrivateFolder(restored);
  expect(statSync(restored).mode & 0o777).toBe(0o700);
});

test('the room that is left is told, and why there is none', () => {
  makePrivateFolder(folder);
  expect(roomBelow(folder)).toEqual({ freeBytes: expect.any(Number) });
  expect(roomBelow('/sys')).toMatchObject({ trouble: expect.stringMatching(/no space is left|cannot be written/) });
  expect(roomBelow(join(folder, 'absent'))).toEqual({ freeBytes: 0, trouble: 'cannot be written (ENOENT)' });
});

test.skipIf(process.geteuid?.() !== 0)('a folder that cannot be written is refused at once (as root only)', () => {
  const place = join(folder, 'read-only');
  mkdirSync(place, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro,mode=700', 'lares-state', place]);
  try {
    expect(() => makePrivateFolder(place)).toThrow(`Cannot use the state folder "${place}": EROFS`);
    expect(roomBelow(place).trouble).toBe('cannot be written (EROFS)');
  } finally {
    execFileSync('umount', [place]);
  }
});

test('a place where nothing can be made is a Failure', () => {
  for (const place of ['/proc/lares', '/sys/kernel/lares', '/dev/null/lares']) {
    expect(() => makePrivateFolder(place)).toThrow('Cannot keep state');
  }
});

test('a state folder of somebody else is refused, also by root, with what to do; one that is not there is well', () => {
  makePrivateFolder(folder);
  const { uid } = statSync(folder);
  const root = 0;
  const others = uid === root ? [1_000] : [root, uid + 1];
  for (const user of others) expect(() => checkOwner(folder, user)).toThrow(`it belongs to user ${uid}`);
  expect(() => checkOwner(folder, uid)).not.toThrow();
  expect(() => checkOwner(join(folder, 'absent'), 4_711)).not.toThrow();
});

test.skipIf(process.geteuid?.() !== 0)('root uses no folder of another user (as root only)', () => {
  const other = mkdtempSync(join(tmpdir(), 'lares-other-'));
  chownSync(other, 4_711, 4_711);
  expect(() => makePrivateFolder(other)).toThrow('it belongs to user 4711 and this is user 0');
  rmSync(other, { recursive: true });
});
