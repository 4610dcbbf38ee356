import { lookup } from 'node:dns/promises';
import { z } from 'zod';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import type { ApiAnswer } from './api.ts';
import { classifyNetworkError } from './network-error.ts';
import { type Network, overlap, parseNetwork } from './networks.ts';
import { state, unseen } from './reading.ts';
import { withinTime } from './within-time.ts';

/** `GET /api/v2/app/preferences`; an empty name stands for any interface. */
export const Preferences = z.object({
  current_network_interface: z.string().max(300).default(''),
  current_interface_address: z.string().max(300).default(''),
});
export type Preferences = z.output<typeof Preferences>;

/** Of the server state: from 5.1 on, an empty text until trackers or peers have told it. */
export const SeenFrom = z.object({
  last_external_address_v4: z.string().max(100).optional(),
  last_external_address_v6: z.string().max(100).optional(),
});
export type SeenFrom = z.output<typeof SeenFrom>;

const resource = 'vpn';
/** A name server that does not answer would take the rest of the look with it. */
const resolveMs = 3_000;

/** Whether it is bound to the interface of the VPN: without that it goes on over any other when the tunnel ends. */
export function boundTo(wanted: string, answer: ApiAnswer<Preferences>): Observation {
  const said = { condition: 'qbittorrent-vpn-unbound', resource };
  if (answer.is !== 'value') return unseen(said, answer.reason);
  const { current_network_interface: name, current_interface_address: address } = answer.value;
  const only = address === '' ? '' : `, address ${address}`;
  const ok = name === wanted;
  const bound = ok ? `is bound to ${name}${only}` : `is bound to ${name}${only}, not to ${wanted} of the VPN`;
  const found = name === '' ? `uses any interface, not ${wanted} of the VPN alone` : bound;
  return state({ ...said, summary: `qBittorrent ${found}`, ok, severity: 'critical' });
}

/** Whether the world sees it from the connection that it must not use. */
export async function seenFrom(
  home: readonly string[],
  seen: SeenFrom,
  context: Pick<CheckContext, 'clock' | 'signal' | 'timeoutMs'>,
): Promise<Observation> {
  // What it remembers is the last that it was told: a leak is one at once.
  const said = { condition: 'qbittorrent-vpn-leak', resource, holdMs: 0 };
  const { last_external_address_v4: v4, last_external_address_v6: v6 } = seen;
  if (v4 === undefined && v6 === undefined) {
    return unseen(said, 'qBittorrent tells its external address only from version 5.1 on');
  }
  const shown = [v4, v6].flatMap((text) => parseNetwork(text ?? '') ?? []);
  if (shown.length === 0) return unseen(said, 'nobody has told qBittorrent its external address yet');
  const ours = await networksOf(home, context);
  const leak = shown.flatMap((own) =>
    ours.found.filter(({ network }) => overlap(network, own)).map((one) => ({ own, one })),
  );
  const [first] = leak;
  if (first !== undefined) {
    const { address } = first.own;
    const named = first.one.name === address ? 'without the VPN' : `of ${first.one.name}, without the VPN`;
    const summary = `qBittorrent is seen from ${address}, the connection ${named}: its traffic leaks`;
    return state({ ...said, summary, ok: false, severity: 'critical' });
  }
  if (ours.unresolved !== undefined) return unseen(said, ours.unresolved);
  const addresses = shown.map(({ address }) => address).join(' and ');
  return state({ ...said, summary: `qBittorrent is seen from ${addresses}`, ok: true, severity: 'critical' });
}

interface Home {
  found: { name: string; network: Network }[];
  /** Why a name could not be compared. */
  unresolved?: string;
}

async function networksOf(home: readonly string[], context: Parameters<typeof seenFrom>[2]): Promise<Home> {
  const all: Home = { found: [] };
  for (const name of home) {
    const network = parseNetwork(name);
    const addresses = network === undefined ? await addressesOf(name, context) : [];
    if (typeof addresses === 'string') all.unresolved = addresses;
    else
      all.found.push(
        ...[...(network === undefined ? [] : [network]), ...addresses].map((one) => ({ name, network: one })),
      );
  }
  return all;
}

async function addressesOf(name: string, context: Parameters<typeof seenFrom>[2]): Promise<Network[] | string> {
  const end = await withinTime({ ms: Math.min(resolveMs, context.timeoutMs / 2), context }, () => resolved(name));
  return end.is === 'late' ? `${name} was not resolved in time` : end.value;
}

async function resolved(name: string): Promise<Network[] | string> {
  try {
    const found = await lookup(name, { all: true });
    return found.flatMap(({ address }) => parseNetwork(address) ?? []);
  } catch (error) {
    return `${name}: ${classifyNetworkError(error).text}`;
  }
}
