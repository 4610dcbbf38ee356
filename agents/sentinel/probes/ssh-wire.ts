/** Reading and writing of SSH's binary packets before encryption begins (RFC 4253, sections 6 and 7; RFC 4251, section 5). */

/** RFC 4253, section 6.1: implementations must take 35000 bytes; a first packet is not larger. */
const maximumPacket = 35_000;

export const message = { disconnect: 1, ignore: 2, debug: 4, kexInit: 20, ecdhInit: 30, ecdhReply: 31 } as const;

/** The ten lists of a KEXINIT that tell what is offered. */
export interface Offers {
  kex: string[];
  hostKeys: string[];
  ciphers: string[];
  macs: string[];
  compressions: string[];
}

/** Takes values from a payload in order. Every read past the end is an absent value, never another packet's bytes. */
export class WireReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  string(): Buffer | undefined {
    const start = this.#at + 4;
    if (start > this.#bytes.length) return undefined;
    const end = start + this.#bytes.readUInt32BE(this.#at);
    if (end > this.#bytes.length) return undefined;
    this.#at = end;
    return this.#bytes.subarray(start, end);
  }

  names(): string[] | undefined {
    return this.string()
      ?.toString('latin1')
      .split(',')
      .filter((name) => /^[\x21-\x7e]{1,64}$/.test(name))
      .slice(0, 200);
  }
}

export function wireString(bytes: Buffer | string): Buffer {
  const content = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

/** A positive integer: no leading zeroes, and one where the first bit would be taken for a sign. */
export function wireInteger(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const trimmed = bytes.subarray(start);
  return wireString(((trimmed[0] ?? 0) & 0x80) === 0 ? trimmed : Buffer.concat([Buffer.from([0]), trimmed]));
}

/** A payload as a packet: padded to 8 bytes, at least 4 of padding. */
export function packetOf(payload: Buffer): Buffer {
  const padding = 8 - ((payload.length + 5) % 8);
  const padded = padding < 4 ? padding + 8 : padding;
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length + padded + 1);
  head[4] = padded;
  return Buffer.concat([head, payload, Buffer.alloc(padded)]);
}

/** The first packet of what was heard: its payload and what comes after it. `wait` when it is not all there. */
export function firstPacket(heard: Buffer): { payload: Buffer; rest: Buffer } | 'wait' | 'broken' {
  if (heard.length < 5) return 'wait';
  const length = heard.readUInt32BE(0);
  const padding = heard[4] ?? 0;
  if (length < 2 || length > maximumPacket || padding >= length - 1) return 'broken';
  if (heard.length < 4 + length) return 'wait';
  return { payload: heard.subarray(5, 4 + length - padding), rest: heard.subarray(4 + length) };
}

/**
 * The server's first line. Lines before it are allowed (RFC 4253, section 4.2). What does not come to such a line within
 * 8 kB is not SSH.
 */
export function identification(heard: Buffer): { line: string; rest: Buffer } | 'wait' | 'not-ssh' {
  let at = 0;
  for (;;) {
    const end = heard.indexOf(10, at);
    if (end === -1) return heard.length - at > 8_192 || at > 8_192 ? 'not-ssh' : 'wait';
    const line = heard.toString('latin1', at, end).replace(/\r$/, '');
    at = end + 1;
    if (/^SSH-(?:2\.0|1\.99)-/.test(line)) return line.length > 253 ? 'not-ssh' : { line, rest: heard.subarray(at) };
    if (line.startsWith('SSH-') || at > 8_192) return 'not-ssh';
  }
}

/** What a KEXINIT offers, the server's direction; undefined when it is none. */
export function readOffers(payload: Buffer): Offers | undefined {
  if (payload[0] !== message.kexInit) return undefined;
  const reader = new WireReader(payload, 17);
  const lists = Array.from({ length: 8 }, () => reader.names());
  const [kex, hostKeys, inCiphers, outCiphers, inMacs, outMacs, compressions] = lists;
  if (kex === undefined || hostKeys === undefined || lists.some((list) => list === undefined)) return undefined;
  const union = (...both: (string[] | undefined)[]): string[] => [...new Set(both.flatMap((list) => list ?? []))];
  return {
    kex,
    hostKeys,
    ciphers: union(inCiphers, outCiphers),
    macs: union(inMacs, outMacs),
    compressions: compressions ?? [],
  };
}

/** Our KEXINIT: the one key exchange that is spoken here, and whatever else the server offers. */
export function kexInitOf(of: { cookie: Buffer; kex: string; hostKey: string; theirs: Offers }): Buffer {
  const lists = [
    of.kex,
    of.hostKey,
    of.theirs.ciphers.join(','),
    of.theirs.ciphers.join(','),
    of.theirs.macs.join(','),
    of.theirs.macs.join(','),
    of.theirs.compressions.join(','),
    of.theirs.compressions.join(','),
    '',
    '',
  ];
  return Buffer.concat([Buffer.from([message.kexInit]), of.cookie, ...lists.map(wireString), Buffer.alloc(5)]);
}

/** "By application" and no words: a server logs that it was left, not that a login failed. */
export function disconnectPayload(): Buffer {
  return Buffer.concat([Buffer.from([message.disconnect, 0, 0, 0, 11]), wireString(''), wireString('')]);
}
