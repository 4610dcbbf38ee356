import { isIPv6 } from 'node:net';
import type { Answer, SoaData } from 'dns-packet';
import type { DnsEnd, DnsMessage } from './dns.ts';
import { bareName } from './dns.ts';
import { oneLine } from './text.ts';

const maximumRecords = 100;

/** The values of one type in an answer, sorted because servers turn them, in the form that people write: `10 mail.example.org` for an MX. */
export function valuesOf(message: DnsMessage, type: string): string[] {
  return (message.answers ?? [])
    .filter((record) => record.type === type)
    .slice(0, maximumRecords)
    .map(valueOf)
    .toSorted();
}

/** The data of a record as one bounded line. */
export function valueOf(record: Answer): string {
  if (record.type === 'OPT') return '(options)';
  if (typeof record.data === 'string' && record.type !== 'TXT') return plainValue(record.data);
  switch (record.type) {
    case 'MX':
      return `${record.data.preference} ${plainValue(record.data.exchange)}`;
    case 'SRV':
      return `${record.data.priority} ${record.data.weight} ${record.data.port} ${plainValue(record.data.target)}`;
    case 'SOA':
      return soaText(record.data);
    case 'TXT':
      return oneLine([record.data].flat().map(String).join(''), 300);
    case 'CAA':
      return oneLine(`${record.data.flags} ${record.data.tag} ${record.data.value}`, 300);
    default:
      return '(data)';
  }
}

function soaText({ mname, rname, serial, refresh, retry, expire, minimum }: SoaData): string {
  return oneLine(`${mname} ${rname} ${serial} ${refresh} ${retry} ${expire} ${minimum}`, 300);
}

/** Without case, without the last dot, and addresses in their short form: as two ways to write one value compare. */
export function plainValue(text: string): string {
  const bare = oneLine(bareName(text), 300);
  // A name may look like an address with a zone, `fe80::1%x`, which no URL can hold.
  const url = isIPv6(bare) ? URL.parse(`http://[${bare}]`) : null;
  return url === null ? bare : url.hostname.slice(1, -1);
}

/** Addresses that a blocking resolver gives instead of the real one. */
const nowhere = new Set(['0.0.0.0', '::', '127.0.0.1', '::1']);

/** Whether an answer is what a blocklist gives: no such name, no address, or one that leads nowhere. */
export function isBlocked(message: DnsMessage, of: { type: string; sinkholes: readonly string[] }): boolean {
  if (message.rcode === 'NXDOMAIN') return true;
  if (message.rcode !== 'NOERROR') return false;
  const sinkholes = new Set([...nowhere, ...of.sinkholes.map(plainValue)]);
  return valuesOf(message, of.type).every((value) => sinkholes.has(value));
}

/** The SOA that a server gives as its own, or in words why it has none. */
export function ownSoa(message: DnsMessage, zone: string): SoaData | string {
  if (message.rcode !== 'NOERROR') return `it answers ${rcodeText(message.rcode)}`;
  const soa = (message.answers ?? []).find(
    (record) => record.type === 'SOA' && bareName(record.name) === bareName(zone),
  );
  if (soa === undefined || soa.type !== 'SOA') return 'it gives no SOA record';
  if (!message.flag_aa) return 'it does not serve the zone itself: its answer is not authoritative';
  return soa.data;
}

const half = 0x8000_0000;

/** Serial arithmetic of RFC 1982: how far `a` is ahead of `b`, negative behind; undefined where the RFC defines none. */
export function serialDistance(a: number, b: number): number | undefined {
  const distance = (a - b) >>> 0;
  if (distance === half) return undefined;
  return distance < half ? distance : distance - 2 * half;
}

const meanings: Record<string, string> = {
  NXDOMAIN: 'NXDOMAIN, the name does not exist',
  SERVFAIL: 'SERVFAIL, it could not find out',
  REFUSED: 'REFUSED, it does not answer us',
};

/** A response code in words. */
export function rcodeText(rcode: string): string {
  return meanings[rcode] ?? oneLine(rcode, 40);
}

/** The answer as `dig` shows it. */
export function answerLines(end: DnsEnd): string[] {
  if (end.is !== 'answered') return [end.reason];
  const { message, ms, over } = end;
  const flags = (['qr', 'aa', 'tc', 'rd', 'ra', 'ad', 'cd'] as const).filter((flag) => message[`flag_${flag}`]);
  const section = (name: string, records: readonly Answer[] | undefined): string[] =>
    (records ?? [])
      .filter(({ type }) => type !== 'OPT')
      .slice(0, 10)
      .map((record) =>
        oneLine(`${name} ${record.name}. ${'ttl' in record ? record.ttl : ''} ${record.type} ${valueOf(record)}`, 400),
      );
  return [
    `status ${oneLine(message.rcode, 40)}, flags ${flags.join(' ')}, ${ms} ms over ${over}`,
    ...section('answer:', message.answers),
    ...section('authority:', message.authorities),
  ];
}
