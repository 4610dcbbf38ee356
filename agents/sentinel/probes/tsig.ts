import { createHmac, timingSafeEqual } from 'node:crypto';

/** Signatures over DNS messages with a shared key (RFC 8945). */

/** Those that the standard wants (section 6) and SHA-1, which old servers still have. */
export const tsigAlgorithms = ['hmac-sha256', 'hmac-sha512', 'hmac-sha384', 'hmac-sha224', 'hmac-sha1'] as const;
type TsigAlgorithm = (typeof tsigAlgorithms)[number];

export interface TsigKey {
  name: string;
  algorithm: TsigAlgorithm;
  secret: Buffer;
}

/** What the signature of an answer says about who gave it. */
export type TsigEnd =
  | { is: 'good' }
  /** The server says what is wrong with our signature: the words of RFC 8945, section 3. */
  | { is: 'refused'; error: string }
  /** There is none, or it does not fit: whoever answered does not show that it has the key. */
  | { is: 'unproven' };

const typeTsig = 250;
const classAny = 255;
/** Seconds by which the clocks may differ (section 10). */
const fudgeSeconds = 300;

const errors: Record<number, string> = {
  16: 'BADSIG, the secret of the key is another one there',
  17: 'BADKEY, it has no such key or wants another algorithm',
  18: 'BADTIME, its clock differs from the one here by more than 5 minutes',
  22: 'BADTRUNC, it wants a longer signature',
};

/** The query with its signature at the end, and the signature, over which the answer is signed. */
export function signQuery(query: Buffer, key: TsigKey, nowMs: number): { signed: Buffer; mac: Buffer } {
  const seconds = Math.floor(nowMs / 1_000);
  const fixed = { ...namesOf(key), time: timeOf(seconds), fudge: fudgeSeconds, error: 0, other: Buffer.alloc(0) };
  const mac = macOf(key, [query, variablesOf(fixed)]);
  const data = Buffer.concat([
    fixed.algorithm,
    fixed.time,
    uint16(fudgeSeconds),
    uint16(mac.length),
    mac,
    query.subarray(0, 2),
    uint16(0),
    uint16(0),
  ]);
  const record = [fixed.name, uint16(typeTsig), uint16(classAny), Buffer.alloc(4), uint16(data.length), data];
  const signed = Buffer.concat([query, ...record]);
  signed.writeUInt16BE(query.readUInt16BE(10) + 1, 10);
  return { signed, mac };
}

/** Judges the signature of the first answer to a signed query. Foreign bytes: whatever they are, it does not throw. */
export function checkReply(reply: Buffer, of: { key: TsigKey; mac: Buffer; nowMs: number }): TsigEnd {
  const found = signatureIn(reply);
  if (found === undefined) return { is: 'unproven' };
  // With a key that it does not have a server can sign nothing: its refusal is believed, which opens no door.
  if (found.error !== 0) return { is: 'refused', error: errors[found.error] ?? `error ${found.error}` };
  return isSigned(reply, found, of) ? { is: 'good' } : { is: 'unproven' };
}

interface Signature {
  /** Where the record begins: all before it is signed. */
  start: number;
  name: Buffer;
  algorithm: Buffer;
  time: Buffer;
  fudge: number;
  mac: Buffer;
  originalId: Buffer;
  error: number;
  other: Buffer;
}

function isSigned(reply: Buffer, found: Signature, of: { key: TsigKey; mac: Buffer; nowMs: number }): boolean {
  const { name, algorithm } = namesOf(of.key);
  if (!found.name.equals(name) || !found.algorithm.equals(algorithm)) return false;
  const apart = Math.abs(found.time.readUIntBE(0, 6) - of.nowMs / 1_000);
  if (apart > found.fudge) return false;
  const unsigned = Buffer.from(reply.subarray(0, found.start));
  found.originalId.copy(unsigned, 0);
  unsigned.writeUInt16BE(reply.readUInt16BE(10) - 1, 10);
  const wanted = macOf(of.key, [uint16(of.mac.length), of.mac, unsigned, variablesOf(found)]);
  return wanted.length === found.mac.length && timingSafeEqual(wanted, found.mac);
}

type Variables = Pick<Signature, 'name' | 'algorithm' | 'time' | 'fudge' | 'error' | 'other'>;

function variablesOf({ name, algorithm, time, fudge, error, other }: Variables): Buffer {
  return Buffer.concat([
    name,
    uint16(classAny),
    Buffer.alloc(4),
    algorithm,
    time,
    uint16(fudge),
    uint16(error),
    uint16(other.length),
    other,
  ]);
}

function macOf({ algorithm, secret }: TsigKey, parts: readonly Buffer[]): Buffer {
  const mac = createHmac(algorithm.slice('hmac-'.length), secret);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

function namesOf({ name, algorithm }: TsigKey): { name: Buffer; algorithm: Buffer } {
  return { name: wireName(name), algorithm: wireName(algorithm) };
}

/** A name as it is signed: lower case and not compressed. */
function wireName(name: string): Buffer {
  const labels = name.toLowerCase().replace(/\.$/, '').split('.');
  const parts = labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')]));
  return Buffer.concat([...parts, Buffer.alloc(1)]);
}

function timeOf(seconds: number): Buffer {
  const time = Buffer.alloc(6);
  time.writeUIntBE(seconds, 0, 6);
  return time;
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** The signature is the last of the additional records (section 5.1). */
function signatureIn(reply: Buffer): Signature | undefined {
  if (reply.length < 12 || reply.readUInt16BE(10) === 0) return undefined;
  let at: number | undefined = 12;
  for (let left = reply.readUInt16BE(4); left > 0 && at !== undefined; left -= 1) at = afterName(reply, at, 4);
  const records = [6, 8, 10].reduce((sum, offset) => sum + reply.readUInt16BE(offset), 0);
  for (let left = records - 1; left > 0 && at !== undefined; left -= 1) at = afterRecord(reply, at);
  return at === undefined ? undefined : signatureAt(reply, at);
}

/** Where that begins which stands behind a name and so many more bytes; undefined past the end. */
function afterName(reply: Buffer, start: number, more: number): number | undefined {
  let at = start;
  while (at < reply.length) {
    const length = reply[at] ?? 0;
    const isPointer = length >= 0xc0;
    if (isPointer || length === 0) {
      const end = at + (isPointer ? 2 : 1) + more;
      return end <= reply.length ? end : undefined;
    }
    at += length + 1;
  }
  return undefined;
}

/** A name with what its pointers stand for (RFC 1035, section 4.1.4); undefined for one that turns in circles. */
function wholeName(reply: Buffer, start: number): Buffer | undefined {
  const labels: Buffer[] = [];
  for (let at = start, steps = 0; steps < 128; steps += 1) {
    const length = reply[at];
    if (length === undefined) return undefined;
    if (length === 0) return Buffer.concat([...labels, Buffer.alloc(1)]);
    if (length < 0xc0) {
      labels.push(reply.subarray(at, at + length + 1));
      at += length + 1;
      continue;
    }
    at = ((length & 0x3f) << 8) | (reply[at + 1] ?? 0);
  }
  return undefined;
}

/** Behind a name: type, class, time to live, length of the data. */
const recordHead = 10;

function afterRecord(reply: Buffer, start: number): number | undefined {
  const data = afterName(reply, start, recordHead);
  if (data === undefined) return undefined;
  const end = data + reply.readUInt16BE(data - 2);
  return end <= reply.length ? end : undefined;
}

function signatureAt(reply: Buffer, start: number): Signature | undefined {
  const data = afterName(reply, start, recordHead);
  const name = wholeName(reply, start);
  if (data === undefined || name === undefined || reply.readUInt16BE(data - recordHead) !== typeTsig) return undefined;
  const macLengthAt = afterName(reply, data, 8);
  if (macLengthAt === undefined || macLengthAt + 2 > reply.length) return undefined;
  const macAt = macLengthAt + 2;
  const idAt = macAt + reply.readUInt16BE(macLengthAt);
  if (idAt + 6 > reply.length) return undefined;
  const timeAt = macLengthAt - 8;
  return {
    start,
    name: lowered(name),
    algorithm: lowered(reply.subarray(data, timeAt)),
    time: reply.subarray(timeAt, timeAt + 6),
    fudge: reply.readUInt16BE(timeAt + 6),
    mac: reply.subarray(macAt, idAt),
    originalId: reply.subarray(idAt, idAt + 2),
    error: reply.readUInt16BE(idAt + 2),
    other: reply.subarray(idAt + 6, idAt + 6 + reply.readUInt16BE(idAt + 4)),
  };
}

/** Bytes of lengths are below 64 and no letters, so a whole name may be turned at once. */
function lowered(name: Buffer): Buffer {
  return Buffer.from(name.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)));
}
