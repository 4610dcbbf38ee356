import { checkServerIdentity, type DetailedPeerCertificate, type PeerCertificate } from 'node:tls';
import type { CheckMemory, Observation } from '#agents/sentinel/check.ts';
import { formatDuration } from '#config/duration.ts';
import { level } from './reading.ts';
import { oneLine, timeText } from './text.ts';

/** What is kept of a certificate: JSON, so that a check remembers it while the target is down. */
export interface Certificate {
  name: string;
  /** Epoch ms. */
  notBefore: number;
  notAfter: number;
  /** SHA-256 in upper-case hex with colons, as OpenSSL prints it. */
  fingerprint: string;
  /** The organization that issued it, or the issuer's name where it has none. */
  issuer?: string;
}

const minuteMs = 60_000;
const dayMs = 86_400_000;
const shortLivedMs = 10 * dayMs;
const maximumChain = 10;

/** The certificates that a server showed, its own first, without the root, which clients have themselves. */
export function chainOf(peer: DetailedPeerCertificate): Certificate[] {
  const chain: Certificate[] = [];
  let next: DetailedPeerCertificate | undefined = peer;
  while (next !== undefined && 'valid_to' in next && chain.length < maximumChain) {
    const issuer: DetailedPeerCertificate | undefined = next.issuerCertificate;
    const isRoot: boolean = issuer === undefined || issuer.fingerprint256 === next.fingerprint256;
    if (!isRoot || chain.length === 0) chain.push(certificateOf(next));
    next = isRoot ? undefined : issuer;
  }
  return chain;
}

export function certificateOf(peer: PeerCertificate): Certificate {
  const subject = textOf(peer.subject?.CN);
  return {
    name: oneLine(subject === '' ? (peer.subjectaltname ?? 'unnamed') : subject, 100),
    notBefore: Date.parse(peer.valid_from),
    notAfter: Date.parse(peer.valid_to),
    fingerprint: peer.fingerprint256,
    ...issuerOf(peer),
  };
}

/** Authorities change the certificates that they sign with at every other renewal; their organization stays. */
function issuerOf({ issuer }: PeerCertificate): { issuer?: string } {
  const organization = textOf(issuer?.O);
  const name = oneLine(organization === '' ? textOf(issuer?.CN) : organization, 100);
  return name === '' ? {} : { issuer: name };
}

/** A subject may hold several common names. */
function textOf(name: string | string[] | undefined): string {
  return Array.isArray(name) ? name.join(', ') : (name ?? '');
}

/** A certificate as a line of evidence. */
export function certificateText({ name, issuer, notBefore, notAfter, fingerprint }: Certificate): string {
  const span = [notBefore, notAfter].map(timeText).join(' to ');
  return `${name}: ${span}, by ${issuer ?? 'an unnamed issuer'}, SHA-256 ${fingerprint}`;
}

/** What was seen last: a handshake that fails now does not make a certificate younger. */
export function rememberedChain(memory: CheckMemory): Certificate[] {
  const chain = memory.get('chain');
  return Array.isArray(chain) ? (chain as Certificate[]) : [];
}

/**
 * Days left of the certificate that is nearest to its limits. A warning at 14 days or a third of its lifetime, critical at
 * 3 days or a tenth, whichever is less: certificates of 12 and 24 hours are ordinary with Caddy and step-ca, and what
 * renews them does it when a third is left. The issuers between have half of that: Caddy renews its own, of 7 days, when a
 * fifth is left.
 */
export function observeLifetime(chain: readonly Certificate[], at: { resource: string; now: number }): Observation[] {
  const judged = chain.flatMap((certificate, place) => {
    if (!Number.isFinite(certificate.notAfter) || !Number.isFinite(certificate.notBefore)) return [];
    return [{ certificate, place, ...limitsOf(certificate, place === 0) }];
  });
  const share = ({ certificate, warningMs }: (typeof judged)[number]): number =>
    (certificate.notAfter - at.now) / warningMs;
  const [worst] = judged.toSorted((a, b) => share(a) - share(b));
  if (worst === undefined) return [];
  const { certificate, lifetimeMs } = worst;
  const leftMs = certificate.notAfter - at.now;
  // What renews at one third has until a twentieth later before it counts as overdue.
  const isPatient = lifetimeMs <= shortLivedMs && leftMs > worst.criticalMs;
  const whose = worst.place === 0 ? 'the certificate' : `the issuer's certificate "${certificate.name}"`;
  const end = new Date(certificate.notAfter).toISOString();
  const observation = level({
    condition: 'certificate-expiring',
    resource: at.resource,
    summary: `${at.resource}: ${whose} ${lifetimeText(leftMs)} (${end})`,
    value: leftMs / dayMs,
    unit: 'd',
    bad: 'below',
    warning: worst.warningMs / dayMs,
    critical: worst.criticalMs / dayMs,
  });
  return [isPatient ? { ...observation, holdMs: Math.round(lifetimeMs / 20) } : observation];
}

function limitsOf({ notBefore, notAfter }: Certificate, isOwn: boolean) {
  const lifetimeMs = Math.max(minuteMs, notAfter - notBefore);
  const part = isOwn ? 1 : 2;
  return {
    lifetimeMs,
    warningMs: Math.min(14 * dayMs, lifetimeMs / 3 / part),
    criticalMs: Math.min(3 * dayMs, lifetimeMs / 10 / part),
  };
}

/** Whether a look should ask for the certificate anew: a kept connection goes on showing the one it began with. */
export function isSoonReplaced(chain: readonly Certificate[], now: number): boolean {
  return chain.some(({ notBefore, notAfter }) => notAfter - now < 15 * dayMs || notAfter - notBefore <= shortLivedMs);
}

function lifetimeText(leftMs: number): string {
  const span = formatDuration(Math.floor(Math.abs(leftMs) / minuteMs) * minuteMs);
  return leftMs >= 0 ? `ends in ${span}` : `ended ${span} ago`;
}

/** Why a client would not trust the certificate, apart from its end, or undefined. */
export function distrust(
  peer: DetailedPeerCertificate,
  of: { hostname: string; now: number; authorizationError: string | undefined; pinned: string | undefined },
): string | undefined {
  const [own] = chainOf(peer);
  if (own === undefined) return 'the server shows no certificate';
  if (own.notBefore > of.now) return `it is not valid before ${new Date(own.notBefore).toISOString()}`;
  if (of.pinned !== undefined) {
    return normalFingerprint(own.fingerprint) === normalFingerprint(of.pinned)
      ? undefined
      : `it is not the pinned one: SHA-256 ${own.fingerprint}`;
  }
  const wrongName = checkServerIdentity(of.hostname, peer);
  if (wrongName !== undefined) return `it is for another name: ${oneLine(peer.subjectaltname ?? own.name, 200)}`;
  const error = of.authorizationError;
  // Its end is a finding of its own.
  if (error === undefined || error === 'CERT_HAS_EXPIRED') return undefined;
  return distrustTexts[error] ?? `it is not trusted (${oneLine(error, 80)})`;
}

const distrustTexts: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its root is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its issuer is not known here, or the server does not send the certificates between',
  UNABLE_TO_GET_ISSUER_CERT: 'its issuer is not known here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its issuer is not known here',
  CERT_REVOKED: 'it was revoked',
};

/** Colons and case do not matter. */
function normalFingerprint(text: string): string {
  return text.replaceAll(':', '').toLowerCase();
}
