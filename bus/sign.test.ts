import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadPublicKey, loadSigner, type Signer } from './keys.ts';
import { Approval } from './messages/approval.ts';
import { signApproval, signedValue, type TrustedKeys, verifyApproval, verifySignature } from './sign.ts';

let folder = '';
let signer: Signer;
let keys: TrustedKeys;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-sign-'));
  signer = loadSigner(folder, 'triage');
  keys = new Map([[signer.keyId, loadPublicKey(join(folder, 'triage.pub'))]]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const unsigned: Omit<Approval, 'signature'> = {
  id: 'a1',
  plan: 'p1',
  digest: 'a'.repeat(64),
  decision: 'approve',
  approver: 'telegram:4711',
  name: 'Ada',
  proof: { kind: 'tap' },
  decidedAt: '2026-11-20T03:00:00.000Z',
  expiresAt: '2026-11-20T03:15:00.000Z',
};

it('an approval survives the wire and is believed', () => {
  const approval = Approval.parse(JSON.parse(JSON.stringify(signApproval(unsigned, signer))));
  expect(verifyApproval(approval, keys)).toBe(true);
});

it('no field of an approval can be changed', () => {
  const approval = signApproval(unsigned, signer);
  const changes: Partial<Approval>[] = [
    { id: 'a2' },
    { plan: 'p2' },
    { digest: 'b'.repeat(64) },
    { decision: 'reject' },
    { approver: 'telegram:4712' },
    { name: 'Eve' },
    { decidedAt: '2026-11-20T03:00:00.001Z' },
    { expiresAt: '2027-11-20T03:15:00.000Z' },
  ];
  for (const change of changes) expect(verifyApproval({ ...approval, ...change }, keys)).toBe(false);
  expect(verifyApproval({ ...approval, extra: 1 } as Approval, keys)).toBe(false);
});

it('a key that is not trusted signs nothing', () => {
  const other = loadSigner(folder, 'other');
  const approval = signApproval(unsigned, other);
  expect(verifyApproval(approval, keys)).toBe(false);
  const claimed = { ...approval, signature: { ...approval.signature, key: signer.keyId } };
  expect(verifyApproval(claimed, keys)).toBe(false);
});

it('a signature for one thing is none for another', () => {
  const signature = { key: signer.keyId, value: signer.sign(signedValue('lares.standing-grant/1', unsigned)) };
  expect(verifyApproval({ ...unsigned, signature }, keys)).toBe(false);
  expect(verifySignature(unsigned, signature, keys)).toBe(false);
});

it('any rubbish as a signature is refused and does not throw', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (value) => {
      expect(verifySignature(unsigned, { key: signer.keyId, value }, keys)).toBe(false);
    }),
  );
  const approval = signApproval(unsigned, signer);
  const padded = { ...approval.signature, value: `${approval.signature.value}==` };
  expect(verifyApproval({ ...approval, signature: padded }, keys)).toBe(false);
});
