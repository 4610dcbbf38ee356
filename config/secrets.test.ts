import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { scrub } from '#bus/scrub.ts';
import { resolveSecret } from './secrets.ts';

let folder = '';
const environment = { ...process.env };
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-secrets-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  process.env = { ...environment };
});

function write(text: string | Buffer, mode = 0o600): string {
  const file = join(folder, 'token');
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

describe('a secret', () => {
  test('of a file loses its final newline and nothing else, and is scrubbed from then on', () => {
    write('  hunter2-of-file \n');
    expect(resolveSecret({ file: 'token' }, folder)).toBe('  hunter2-of-file ');
    expect(scrub('x  hunter2-of-file y')).not.toContain('hunter2');
  });

  test('of the environment', () => {
    process.env['LARES_TEST_SECRET'] = 'hunter2-of-environment';
    expect(resolveSecret({ env: 'LARES_TEST_SECRET' }, folder)).toBe('hunter2-of-environment');
    expect(scrub('hunter2-of-environment')).toBe('[redacted]');
  });

  test('of a systemd credential', () => {
    write('hunter2-of-systemd\n');
    process.env['CREDENTIALS_DIRECTORY'] = folder;
    expect(resolveSecret({ credential: 'token' }, '/')).toBe('hunter2-of-systemd');
  });

  test('that is a private key may have many lines', () => {
    const key = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----';
    write(`${key}\n`);
    expect(resolveSecret({ file: 'token' }, folder)).toBe(key);
  });
});

describe('the reason why there is none', () => {
  test.each([
    ['a missing file', { file: 'nothing' }, /nothing" does not exist$/],
    ['a folder', { file: '.' }, /is not a file$/],
    ['an unset variable', { env: 'LARES_NOT_SET' }, /the environment variable "LARES_NOT_SET" is not set$/],
    ['no systemd', { credential: 'token' }, /the credential "token" needs systemd/],
  ])('%s', (_, ref, expected) => {
    delete process.env['CREDENTIALS_DIRECTORY'];
    expect(() => resolveSecret(ref, folder)).toThrow(expected);
    expect(() => resolveSecret(ref, folder)).toThrow(Failure);
  });

  test.each([
    ['an empty file', '\n', /token" is empty$/],
    ['several lines', 'hunter2\nother\n', /token" has more than one line$/],
    ['a whole disk', Buffer.alloc(100_000, 'h'), /has 100000 bytes, more than any secret$/],
  ])('%s', (_, text, expected) => {
    write(text);
    expect(() => resolveSecret({ file: 'token' }, folder)).toThrow(expected);
    expect(() => resolveSecret({ file: 'token' }, folder)).not.toThrow(/hunter2/);
  });

  test('a credential does not lead out of its folder', () => {
    process.env['CREDENTIALS_DIRECTORY'] = folder;
    for (const credential of ['../x', '..', 'a/b']) {
      expect(() => resolveSecret({ credential }, folder)).toThrow(/is not a credential's name/);
    }
  });
});

test('a file that every user may read is told, with the command that mends it', () => {
  const warnings: string[] = [];
  const file = write('hunter2-readable', 0o644);
  resolveSecret({ file }, '/', (message) => warnings.push(message));
  expect(warnings).toEqual([`Every user of this machine may read the secret in "${file}"; run: chmod 600 ${file}`]);
  chmodSync(file, 0o640);
  resolveSecret({ file }, '/', (message) => warnings.push(message));
  expect(warnings).toHaveLength(1);
});
