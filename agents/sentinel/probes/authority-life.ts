import { X509Certificate } from 'node:crypto';
import type { Observation } from '#agents/sentinel/check.ts';
import { level } from './reading.ts';
import { oneLine, timeText } from './text.ts';

/** A certificate that others are issued with. Times are epoch ms; what OpenSSL could not read is no number. */
interface AuthorityCertificate {
  name: string;
  serial: string;
  notBefore: number;
  notAfter: number;
}

const dayMs = 86_400_000;
const maximumCertificates = 20;
/** Replacing a root touches every machine; there has to be time for it. */
const warningDays = 90;
const criticalDays = 30;

/** The certificates of a PEM text. What is none, or has no dates, is left out. */
export function authoritiesIn(pem: string): AuthorityCertificate[] {
  const pems = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return pems.slice(0, maximumCertificates).flatMap((one) => {
    try {
      const { subject, serialNumber, validFrom, validTo } = new X509Certificate(one);
      const name = oneLine(/CN=([^\n]+)/.exec(subject)?.[1] ?? 'unnamed', 80);
      const [notBefore, notAfter] = [Date.parse(validFrom), Date.parse(validTo)];
      return Number.isFinite(notAfter - notBefore) ? [{ name, serial: serialNumber, notBefore, notAfter }] : [];
    } catch {
      return [];
    }
  });
}

/**
 * Days left. A sixth of the lifetime is a warning where that is less than 90 days: intermediates of a week are ordinary,
 * and Caddy renews its own when a fifth is left.
 */
export function observeAuthority(
  { notBefore, notAfter }: AuthorityCertificate,
  of: { resource: string; what: string; now: number },
): Observation {
  const lifetimeDays = (notAfter - notBefore) / dayMs;
  const leftDays = (notAfter - of.now) / dayMs;
  return level({
    condition: 'certificate-expiring',
    resource: of.resource,
    labels: { certificate: of.resource },
    summary: `${of.what} ${leftDays < 0 ? 'ended' : 'ends'} ${timeText(notAfter)}`,
    value: leftDays,
    unit: 'd',
    bad: 'below',
    warning: Math.min(warningDays, lifetimeDays / 6),
    critical: Math.min(criticalDays, lifetimeDays / 10),
    holdMs: 0,
  });
}
