import { randomBytes } from 'node:crypto';
import { formatDuration } from '#config/duration.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { exchangeDatagrams } from './datagrams.ts';
import type { Endpoint } from './endpoint.ts';
import { classifyNetworkError } from './network-error.ts';
import { withinTime } from './within-time.ts';

/** What a time server said (RFC 5905). Times in ms. */
export interface NtpAnswer {
  /** How far the server's clock is ahead of this machine's. */
  offsetMs: number;
  /** The way there and back, without the time in the server. */
  delayMs: number;
  stratum: number;
  /** 0 to 2; 3 is "not synchronised". */
  leap: number;
  rootDelayMs: number;
  rootDispersionMs: number;
  /** What it follows: four characters, or an address. */
  reference: string;
}

export type NtpEnd =
  | { is: 'answered'; answer: NtpAnswer }
  /** Kiss of death: it asks to be left alone (RFC 5905, section 7.4). */
  | { is: 'refused'; code: string }
  | { is: 'silent'; reason: string }
  | { is: 'unable'; reason: string };

/** Between 1900, where NTP begins, and 1970. */
const ntpEpochMs = 2_208_988_800_000;
/** 2^32 s; the first era ends in 2036. */
const eraMs = 4_294_967_296_000;
const tries = 3;
/** Codes that ask a client to go away or to slow down; the others say that the server has no time yet. */
const pleas = new Set(['RATE', 'DENY', 'RSTR']);

/** Asks a time server once, with another try for a lost datagram. Contract: never throws but for the signal's reason. */
export async function askNtp(of: { server: Endpoint; giveUpAfterMs: number }, context: CheckContext): Promise<NtpEnd> {
  // A random number instead of our time: it tells nothing and cannot be guessed by who would forge the answer.
  const sent = new Map<string, number>();
  const make = (): Buffer => {
    const request = Buffer.alloc(48);
    // Version 4, mode 3 (client).
    request.writeUInt8(0x23, 0);
    const nonce = randomBytes(8);
    nonce.copy(request, 40);
    sent.set(nonce.toString('hex'), context.clock.now());
    return request;
  };
  const read = (datagram: Buffer): NtpEnd | undefined => {
    const sentAt = sent.get(datagram.subarray(24, 32).toString('hex'));
    return sentAt === undefined ? undefined : readAnswer(datagram, { sentAt, arrivedAt: context.clock.now() });
  };
  try {
    const everyMs = of.giveUpAfterMs / tries;
    const end = await withinTime({ ms: of.giveUpAfterMs, context }, (signal) =>
      exchangeDatagrams({ server: of.server, make, read, tries, everyMs }, { signal, clock: context.clock }),
    );
    if (end.is === 'done') return end.value;
    return { is: 'silent', reason: `no answer within ${formatDuration(of.giveUpAfterMs)}` };
  } catch (error) {
    context.signal.throwIfAborted();
    const { cause, text } = classifyNetworkError(error);
    return { is: cause === 'ours' ? 'unable' : 'silent', reason: text };
  }
}

/** The fields of an answer to a request that left at `sentAt`; undefined when it is no answer of a server. */
export function readAnswer(datagram: Buffer, at: { sentAt: number; arrivedAt: number }): NtpEnd | undefined {
  const mode = datagram.length < 48 ? 0 : datagram.readUInt8(0) & 7;
  if (mode !== 4) return undefined;
  const stratum = datagram.readUInt8(1);
  const reference = datagram.subarray(12, 16);
  const code = printable(reference);
  if (stratum === 0 && pleas.has(code)) return { is: 'refused', code };
  const received = timestamp(datagram, { at: 32, near: at.arrivedAt });
  const answered = timestamp(datagram, { at: 40, near: at.arrivedAt });
  return {
    is: 'answered',
    answer: {
      offsetMs: (received - at.sentAt + (answered - at.arrivedAt)) / 2,
      delayMs: Math.max(0, at.arrivedAt - at.sentAt - (answered - received)),
      // 0 is "unspecified", which clients take for 16, "not synchronised".
      stratum: stratum === 0 ? 16 : stratum,
      leap: datagram.readUInt8(0) >> 6,
      rootDelayMs: shortMs(datagram, 4),
      rootDispersionMs: shortMs(datagram, 8),
      reference: stratum <= 1 ? code : [...reference].join('.'),
    },
  };
}

/** The era is the one that makes the time nearest to ours: the field has no number for it. */
function timestamp(datagram: Buffer, of: { at: number; near: number }): number {
  const seconds = datagram.readUInt32BE(of.at);
  const fraction = datagram.readUInt32BE(of.at + 4) / 0x1_0000_0000;
  const ms = (seconds + fraction) * 1_000 - ntpEpochMs;
  return ms + Math.round((of.near - ms) / eraMs) * eraMs;
}

/** 16 bits of seconds, 16 of fraction. */
function shortMs(datagram: Buffer, at: number): number {
  return (datagram.readUInt32BE(at) / 0x1_0000) * 1_000;
}

function printable(bytes: Buffer): string {
  return bytes.toString('latin1').replaceAll(/[^A-Za-z0-9]/g, '');
}
