import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadPublicKey, loadSigner, type Signer } from './keys.ts';
import { Approval } from './messages/approval.ts';
import { Freeze } from './messages/freeze.ts';
import { Order, signOrder, verifyOrder } from './order.ts';
import {
  signApproval,
  signedValue,
  signThaw,
  type TrustedKeys,
  verifyApproval,
  verifySignature,
  verifyThaw,
} from './sign.ts';

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

describe('a thaw', () => {
  const thaw = { by: 'telegram:42', reason: 'mended', at: '2026-11-20T03:00:00.000Z' };

  it('is believed as it was signed, and in no other words', () => {
    const signed = Freeze.parse(JSON.parse(JSON.stringify(signThaw(thaw, signer))));
    expect(verifyThaw(signed, keys)).toBe(true);
    const changes: Partial<Freeze>[] = [
      { by: 'telegram:43' },
      { reason: 'other' },
      { at: '2027-11-20T03:00:00.000Z' },
      { frozen: true },
    ];
    for (const change of changes) expect(verifyThaw({ ...signed, ...change }, keys)).toBe(false);
    expect(verifyThaw(signThaw(thaw, loadSigner(folder, 'other')), keys)).toBe(false);
  });

  it('without a signature is none', () => {
    expect(verifyThaw({ ...thaw, frozen: false }, keys)).toBe(false);
  });
});

it('an order survives the wire, is believed as it was signed, and is no order for another verb, thing or person', () => {
  const order = { verb: 'release', data: { run: 'run-1' }, by: 'terminal:ann', at: Date.parse(unsigned.decidedAt) };
  const signed = Order.parse(JSON.parse(JSON.stringify(signOrder(order, signer))));
  expect(verifyOrder(signed, keys)).toBe(true);
  const changes: Partial<Order>[] = [
    { verb: 'unblock' },
    { data: { run: 'run-2' } },
    { by: 'telegram:42' },
    { expiresAt: '2027-11-20T03:00:00.000Z' },
    { nonce: '00000000-0000-4000-8000-000000000000' },
  ];
  for (const change of changes) expect(verifyOrder({ ...signed, ...change }, keys)).toBe(false);
  expect(signOrder(order, signer).nonce).not.toBe(signed.nonce);
});
