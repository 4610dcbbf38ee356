import { isIP } from 'node:net';
import { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import { type Api, type ApiContext, createApi } from './api.ts';
import { cloudflareResult } from './cloudflare-api.ts';
import { plainValue } from './dns-record.ts';
import { isPrivate, parseNetwork } from './networks.ts';
import { state, unseen } from './reading.ts';
import { oneLine } from './text.ts';

const domain = z
  .string()
  .regex(/^(?:\*\.)?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){1,20}$/, 'must be a domain name');

/** A record as it has to be. */
export const WantedRecord = z.strictObject({
  name: domain.describe('Whole name, such as vpn.example.org.'),
  zone: domain.optional().describe('Zone that it is in. Absent: the last two labels of the name.'),
  type: z.enum(['A', 'AAAA', 'CNAME', 'TXT', 'MX']).default('A').describe('Type of the record.'),
  expect: z
    .array(z.string().min(1).max(2_000))
    .min(1)
    .max(20)
    .optional()
    .describe('Everything that it has to hold. Absent: the address that `addressFrom` tells.'),
  proxied: z.boolean().optional().describe('Whether Cloudflare has to stand in between. Absent: either.'),
});
export type WantedRecord = z.output<typeof WantedRecord>;

const Records = z.array(z.object({ content: z.string(), proxied: z.boolean().nullish() }));

interface Of {
  headers: Record<string, string>;
  /** The address of this house as others see it, or why it is not known. */
  address: (type: string) => string | { reason: string };
}

/** Names of zones to their ids, which do not change. */
const zones = new Map<string, string>();

async function zoneOf(api: Api, name: string, of: { headers: Record<string, string>; url: string }) {
  const key = `${of.url} ${name}`;
  const known = zones.get(key);
  if (known !== undefined) return { id: known };
  const found = await cloudflareResult(api, z.array(z.object({ id: z.string() })), {
    path: '/zones',
    query: { name },
    headers: of.headers,
  });
  if (found.is !== 'value') return { reason: found.reason };
  const [zone] = found.value;
  if (zone === undefined) return { reason: `the token sees no zone ${name}` };
  zones.set(key, zone.id);
  return { id: zone.id };
}

export async function lookAtRecord(api: Api, wanted: WantedRecord, of: Of & { url: string }): Promise<Observation[]> {
  const { name, type } = wanted;
  const said = {
    condition: 'dns-record-wrong',
    resource: `${name} ${type}`,
    labels: { name, type },
    severity: 'critical' as const,
  };
  const zone = await zoneOf(api, wanted.zone ?? name.split('.').slice(-2).join('.'), of);
  if ('reason' in zone) return [unseen(said, zone.reason)];
  const path = `/zones/${encodeURIComponent(zone.id)}/dns_records`;
  const found = await cloudflareResult(api, Records, { path, query: { name, type }, headers: of.headers });
  if (found.is !== 'value') return [unseen(said, found.reason)];
  const proxied = proxiedOf(wanted, found.value);
  const address = wanted.expect === undefined ? of.address(type) : undefined;
  if (typeof address === 'object') return [unseen(said, address.reason), ...proxied];
  const expected = (wanted.expect ?? [address ?? '']).map((text) => normal(text, type));
  const held = found.value.map(({ content }) => normal(content, type));
  const isRight = held.length === expected.length && expected.every((text) => held.includes(text));
  const holds =
    held.length === 0
      ? 'nothing'
      : held
          .slice(0, 4)
          .map((text) => oneLine(text, 100))
          .join(', ');
  const should = isRight
    ? ''
    : `, not ${expected
        .slice(0, 4)
        .map((text) => oneLine(text, 100))
        .join(', ')}`;
  return [state({ ...said, summary: `${name} ${type} is ${holds}${should}`, ok: isRight }), ...proxied];
}

function proxiedOf({ name, type, proxied }: WantedRecord, records: z.output<typeof Records>): Observation[] {
  if (proxied === undefined || records.length === 0) return [];
  const wrong = records.filter((record) => (record.proxied ?? false) !== proxied);
  const is = (wrong.length === 0) === proxied ? 'goes through Cloudflare' : 'goes past Cloudflare';
  return [
    state({
      condition: 'dns-record-proxied',
      resource: `${name} ${type}`,
      labels: { name, type },
      summary: `${name} ${is}${wrong.length === 0 ? '' : ', and should not'}`,
      ok: wrong.length === 0,
      severity: 'warning',
    }),
  ];
}

/** Names without case and last dot; addresses of IPv6 in their one short form. */
function normal(text: string, type: string): string {
  const clean = text.trim();
  if (type === 'AAAA') return plainValue(clean);
  if (type === 'TXT') return clean.replace(/^"(.*)"$/s, '$1');
  return clean.toLowerCase().replace(/\.$/, '');
}

/** An address that the internet could reach: a service in the own house tells a private one. */
function isOutside(text: string): boolean {
  const network = parseNetwork(text);
  return network !== undefined && isIP(text) !== 0 && !isPrivate(network);
}

/**
 * The address of this house by services that answer with the address of whoever asks. They have to agree: one alone may
 * lie or be asked through another way out.
 */
export async function outsideAddress(
  urls: readonly string[],
  context: ApiContext,
): Promise<(type: string) => string | { reason: string }> {
  const asked = await Promise.all(urls.map((url) => createApi({ url, verifyTls: true }, context).text({ path: '' })));
  const texts = asked.map((answer) => (answer.is === 'value' ? answer.value.trim() : ''));
  const addresses = texts.filter(isOutside);
  const failed = asked.find((answer) => answer.is !== 'value');
  return (type) => {
    if (urls.length === 0) return { reason: 'neither `expect` nor `addressFrom` says what it has to be' };
    const wanted = addresses
      .filter((text) => isIP(text) === (type === 'AAAA' ? 6 : 4))
      .map((text) => normal(text, type));
    const [first] = wanted;
    if (first === undefined) {
      const why = failed !== undefined ? `: ${failed.reason}` : '';
      return { reason: `nobody tells the address of this house${why}` };
    }
    if (new Set(wanted).size > 1) return { reason: `the address of this house is told as ${wanted.join(' and ')}` };
    return first;
  };
}
