import { BlockList, isIP } from 'node:net';

/** `10.0.0.7` or `10.0.0.0/8`, IPv4 or IPv6. */
export interface Network {
  address: string;
  bits: number;
  family: 'ipv4' | 'ipv6';
}

export function parseNetwork(text: string): Network | undefined {
  const [address = '', length, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0 || address.includes('%')) return undefined;
  const most = version === 4 ? 32 : 128;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return undefined;
  const bits = length === undefined ? most : Number(length);
  return bits > most ? undefined : { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** Whether two networks share an address: then one contains the other. */
export function overlap(one: Network, other: Network): boolean {
  if (one.family !== other.family) return false;
  const [wide, narrow] = one.bits <= other.bits ? [one, other] : [other, one];
  const list = new BlockList();
  list.addSubnet(wide.address, wide.bits, wide.family);
  return list.check(narrow.address, narrow.family);
}

/** Addresses that nobody on the internet has: private, shared, loopback and link-local ones. */
const insideTexts = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '::1',
  'fc00::/7',
  'fe80::/10',
];
const inside = insideTexts.flatMap((text) => parseNetwork(text) ?? []);

/** Whether a network lies within the private ones; one that merely contains them, such as 0.0.0.0/0, does not. */
export function isPrivate(network: Network): boolean {
  return inside.some((range) => range.bits <= network.bits && overlap(range, network));
}
