import { checkServerIdentity } from 'node:tls';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { formatDuration } from '#config/duration.ts';
import { type Certificate, chainOf } from './certificate.ts';
import type { CertificateFile } from './certificate-files.ts';
import { asleep, state, unseen } from './reading.ts';
import { type Handshake, shakeHands, type TlsEndpoint } from './tls-handshake.ts';
import { timeText } from './text.ts';

const giveUpAfterMs = 4_000;

/** Where a file's certificate should be shown. */
export interface ServedAt {
  address: string;
  port: number;
  tlsName: string | undefined;
  starttls: TlsEndpoint['starttls'];
  /** How long a server may go on showing the one before. */
  reloadWithinMs: number;
}

/**
 * Whether a server shows what the file holds. A renewed file that is not read again is the usual end of a renewal that
 * "works": nobody notices until the old certificate ends.
 */
export async function observeServed(file: CertificateFile, at: ServedAt, context: CheckContext): Promise<Observation> {
  const tlsName = at.tlsName ?? nameToAsk(file.names);
  const said = {
    condition: 'certificate-not-reloaded',
    resource: `${file.path} at ${at.address}:${at.port}`,
    labels: { path: file.path, ...(tlsName !== undefined && { domain: tlsName }) },
  };
  const handshake = await shakeHands({ ...at, tlsName, giveUpAfterMs }, context);
  if (handshake.is !== 'shown') return unseen(said, handshake.text);
  const [own] = file.chain;
  const [shown] = chainOf(handshake.peer);
  if (own === undefined || shown === undefined) return unseen(said, 'the server shows no certificate');
  if (shown.fingerprint === own.fingerprint) {
    return state({ ...said, summary: `${said.resource}: the server shows it`, ok: true, severity: 'warning' });
  }
  if (isOfOtherNames(handshake, tlsName)) {
    const summary = `${said.resource}: the server shows a certificate of other names`;
    return asleep({ ...said, summary }, `it is not served there: what is shown is for "${shown.name}"`);
  }
  return compared(said, { own, shown, file, at, now: context.clock.now() });
}

function isOfOtherNames({ peer }: Extract<Handshake, { is: 'shown' }>, tlsName: string | undefined): boolean {
  return tlsName !== undefined && checkServerIdentity(tlsName, peer) !== undefined;
}

function compared(
  said: { condition: string; resource: string; labels: Record<string, string> },
  of: { own: Certificate; shown: Certificate; file: CertificateFile; at: ServedAt; now: number },
): Observation {
  const { own, shown, file, at, now } = of;
  const isOlder = shown.notBefore < own.notBefore;
  if (!isOlder) {
    const summary = `${said.resource}: the server shows a newer one than the file holds`;
    return state({ ...said, summary, ok: true, severity: 'warning' });
  }
  const sinceMs = Math.max(0, now - file.changedAt);
  const left = shown.notAfter - now;
  const isNear = left < (shown.notAfter - shown.notBefore) / 10;
  const end = timeText(shown.notAfter);
  const age = formatDuration(Math.floor(sinceMs / 60_000) * 60_000);
  return state({
    ...said,
    summary: `${said.resource}: renewed ${age} ago, but the server still shows the one before, which ${left > 0 ? 'ends' : 'ended'} ${end}`,
    ok: false,
    severity: isNear ? 'critical' : 'warning',
    holdMs: Math.max(0, at.reloadWithinMs - sinceMs),
  });
}

/** A name that the certificate is for; of a wildcard any name below it. */
function nameToAsk(names: readonly string[]): string | undefined {
  const plain = names.find((name) => !name.includes('*'));
  return plain ?? names.find((name) => name.startsWith('*.'))?.replace('*', 'www');
}
