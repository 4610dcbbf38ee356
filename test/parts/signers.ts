import { generateKeyPairSync, sign } from 'node:crypto';
import { keyIdOf, signedBytes, type Signer } from '#bus/keys.ts';
import type { TrustedKeys } from '#bus/sign.ts';

/** A key in memory, and what those hold who believe it. */
export function makeSigner(): { signer: Signer; trusted: TrustedKeys } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const keyId = keyIdOf(publicKey);
  return {
    signer: { keyId, sign: (value) => sign(null, signedBytes(value), privateKey).toString('base64url') },
    trusted: new Map([[keyId, publicKey]]),
  };
}
