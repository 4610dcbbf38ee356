import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { CheckMemory, Observation } from '#agents/sentinel/check.ts';
import { certificateText, chainOf, distrust, observeLifetime, rememberedChain } from './certificate.ts';
import { state } from './reading.ts';
import { remember } from './remembered.ts';

/** What a TLS server showed when nothing was refused for it. */
export interface PeerShown {
  peer: DetailedPeerCertificate;
  /** OpenSSL's code, `CERT_HAS_EXPIRED` and the like. */
  authorizationError: string | undefined;
}

export function peerShown(socket: TLSSocket): PeerShown {
  const error: unknown = socket.authorizationError;
  const code = error instanceof Error ? ('code' in error ? String(error.code) : error.message) : error;
  return {
    peer: socket.getPeerCertificate(true),
    authorizationError: typeof code === 'string' && code !== '' ? code : undefined,
  };
}

/** Trust and lifetime of a certificate that was seen beside something else; the chain is remembered for evidence. */
export function judgePeer(
  shown: PeerShown,
  of: { resource: string; hostname: string; now: number; memory: CheckMemory; mustTrust?: boolean },
): Observation[] {
  const chain = chainOf(shown.peer);
  remember(of.memory, 'chain', chain);
  const lifetime = observeLifetime(chain, of);
  if (of.mustTrust === false) return lifetime;
  const reason = distrust(shown.peer, {
    hostname: of.hostname,
    now: of.now,
    authorizationError: shown.authorizationError,
    pinned: undefined,
  });
  const { resource } = of;
  const told = reason === undefined ? 'the certificate is trusted' : `bad certificate: ${reason}`;
  return [
    state({
      condition: 'certificate-invalid',
      resource,
      summary: `${resource}: ${told}`,
      ok: reason === undefined,
      severity: 'critical',
    }),
    ...lifetime,
  ];
}

/** The certificates as lines of evidence. */
export function chainLines(memory: CheckMemory): string[] {
  return rememberedChain(memory).map(certificateText);
}
