import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { examineFolder } from './state.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-doctor-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a state folder that is open to others is to be closed, unless it is theirs too', () => {
  const state = join(folder, 'state');
  mkdirSync(state);
  chmodSync(state, 0o755);
  expect(examineFolder(state)).toMatchObject({ ok: false, mend: `chmod 700 ${state}` });
  writeFileSync(join(state, 'passwd'), '');
  expect(examineFolder(state).mend).toContain('set "state" to a folder of its own');
  chmodSync(state, 0o700);
  expect(examineFolder(state)).toMatchObject({ ok: true });
});

test('what is no disk keeps nothing', () => {
  expect(examineFolder('/proc/lares')).toMatchObject({
    ok: false,
    text: expect.stringMatching(/^nothing can be kept below \/proc$|permission denied/),
  });
});
