import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Failure } from './failure.ts';
import { keyIdOf, loadPublicKey, loadSecret, loadSigner } from './keys.ts';
import { signedValue, verifySignature } from './sign.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-keys-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('a signer is made once and is the same afterwards', () => {
  const keys = join(folder, 'deep', 'keys');
  const first = loadSigner(keys, 'triage');
  const second = loadSigner(keys, 'triage');
  expect(second.keyId).toBe(first.keyId);
  expect(second.sign({ a: 1 })).toBe(first.sign({ a: 1 }));
  expect(readdirSync(keys).toSorted()).toEqual(['triage.key', 'triage.pub']);
});

it('the private key and secrets are for their owner only', () => {
  loadSigner(folder, 'triage');
  loadSecret(folder, 'journal');
  expect(statSync(join(folder, 'triage.key')).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, 'journal.secret')).mode & 0o777).toBe(0o600);
});

it('the public key beside it verifies what the signer signed', () => {
  const signer = loadSigner(folder, 'triage');
  const key = loadPublicKey(join(folder, 'triage.pub'));
  expect(keyIdOf(key)).toBe(signer.keyId);
  const value = signedValue('test/1', { b: [1, 'ü'], a: null });
  const signature = { key: signer.keyId, value: signer.sign(value) };
  expect(
    verifySignature(
      signedValue('test/1', { a: null, b: [1, 'ü'] }),
      signature,
      new Map([[key.asymmetricKeyType ?? '', key]]),
    ),
  ).toBe(false);
  expect(
    verifySignature(signedValue('test/1', { a: null, b: [1, 'ü'] }), signature, new Map([[signer.keyId, key]])),
  ).toBe(true);
});

it('a secret is 32 bytes, made once, and another for another name', () => {
  const secret = loadSecret(folder, 'sentinel');
  expect(secret).toHaveLength(32);
  expect(loadSecret(folder, 'sentinel')).toEqual(secret);
  expect(loadSecret(folder, 'triage')).not.toEqual(secret);
});

it('a secret that others may read is refused, with the command that mends it', () => {
  loadSecret(folder, 'sentinel');
  chmodSync(join(folder, 'sentinel.secret'), 0o644);
  expect(() => loadSecret(folder, 'sentinel')).toThrow(/others may read it; run "chmod 600 /);
});

it('a damaged key file is told, never replaced', () => {
  for (const [name, load] of [
    ['triage.key', () => loadSigner(folder, 'triage')],
    ['journal.secret', () => loadSecret(folder, 'journal')],
    ['other.pub', () => loadPublicKey(join(folder, 'other.pub'))],
  ] as const) {
    writeFileSync(join(folder, name), 'rubbish', { mode: 0o600 });
    expect(load).toThrow(Failure);
  }
  expect(() => loadPublicKey(join(folder, 'none.pub'))).toThrow(/it does not exist/);
  expect(existsSync(join(folder, 'none.pub'))).toBe(false);
});
