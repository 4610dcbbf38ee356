import { type KeyObject, verify } from 'node:crypto';
import { type Signer, signedBytes } from './keys.ts';
import type { Approval } from './messages/approval.ts';
import type { Freeze } from './messages/freeze.ts';

export interface Signature {
  /** The id of the key, as `keyIdOf` gives it. */
  key: string;
  /** base64url. */
  value: string;
}

/** Public keys that are believed, by id. */
export type TrustedKeys = ReadonlyMap<string, KeyObject>;

const approvalDomain = 'lares.approval/1';
const freezeDomain = 'lares.freeze/1';
const signaturePattern = /^[A-Za-z0-9_-]{86}$/;

/** A value that says what it is: a signature over one kind of thing must never pass for another kind. */
export function signedValue(domain: string, value: unknown): { domain: string; value: unknown } {
  return { domain, value };
}

/** False for an unknown key, another value, another domain or a malformed signature. Never throws. */
export function verifySignature(value: unknown, signature: Signature, keys: TrustedKeys): boolean {
  const key = keys.get(signature.key);
  // Strict about the spelling, so that one signature has one text.
  if (key?.asymmetricKeyType !== 'ed25519' || !signaturePattern.test(signature.value)) return false;
  return verify(null, signedBytes(value), key, Buffer.from(signature.value, 'base64url'));
}

/** The signature covers everything but itself: also who, which digest and until when. */
export function signApproval(approval: Omit<Approval, 'signature'>, signer: Signer): Approval {
  const value = signer.sign(signedValue(approvalDomain, approval));
  return { ...approval, signature: { key: signer.keyId, value } };
}

export function verifyApproval(approval: Approval, keys: TrustedKeys): boolean {
  const { signature, ...signed } = approval;
  return verifySignature(signedValue(approvalDomain, signed), signature, keys);
}

/** A thaw: who allows remediation again, why and when. */
export function signThaw(thaw: Pick<Freeze, 'by' | 'reason' | 'at'>, signer: Signer): Freeze {
  const unsigned = { frozen: false, by: thaw.by, reason: thaw.reason, at: thaw.at };
  return { ...unsigned, signature: { key: signer.keyId, value: signer.sign(signedValue(freezeDomain, unsigned)) } };
}

export function verifyThaw(thaw: Freeze, keys: TrustedKeys): boolean {
  const { signature, ...signed } = thaw;
  return signature !== undefined && verifySignature(signedValue(freezeDomain, signed), signature, keys);
}
