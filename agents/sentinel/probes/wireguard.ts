import type { CheckMemory, Observation } from '#agents/sentinel/check.ts';
import { formatDuration } from '#config/duration.ts';
import { asleep, level, state } from './reading.ts';
import { remember } from './remembered.ts';
import { formatBytes, oneLine } from './text.ts';

export interface WireguardPeer {
  interface: string;
  key: string;
  /** Epoch ms; 0 when there never was one. */
  handshakeAt: number;
  received: number;
  sent: number;
  endpoint: string;
  /** Seconds; 0 when it is off: then a peer without traffic is silent and well. */
  keepalive: number;
}

const maximumPeers = 500;

/** First characters, as people tell peers apart. */
export function shortKey(key: string): string {
  return `${key.slice(0, 8)}…`;
}

/** Lines of `wg show all latest-handshakes|transfer|endpoints|persistent-keepalive`, which tabs divide. */
export function parsePeers(of: {
  handshakes: readonly string[];
  transfer: readonly string[];
  endpoints: readonly string[];
  keepalive: readonly string[];
}): WireguardPeer[] {
  const rows = (lines: readonly string[]): Map<string, string[]> =>
    new Map(
      lines.slice(0, maximumPeers).map((line) => {
        const [name = '', key = '', ...rest] = line.trim().split('\t');
        return [`${name}\t${key}`, rest];
      }),
    );
  const [transfer, endpoints, keepalive] = [rows(of.transfer), rows(of.endpoints), rows(of.keepalive)];
  return [...rows(of.handshakes)].flatMap(([id, [handshake]]) => {
    const [name = '', key = ''] = id.split('\t');
    if (!/^[A-Za-z0-9+/]{43}=$/.test(key) || !/^\d+$/.test(handshake ?? '')) return [];
    const [received, sent] = transfer.get(id) ?? ['0', '0'];
    const [endpoint = '(none)'] = endpoints.get(id) ?? [];
    return [
      {
        interface: name,
        key,
        handshakeAt: Number(handshake) * 1_000,
        received: Number(received),
        sent: Number(sent),
        endpoint: oneLine(endpoint, 80),
        keepalive: seconds(keepalive.get(id)?.[0]),
      },
    ];
  });
}

/** `off` or a number. */
function seconds(text: string | undefined): number {
  return /^\d+$/.test(text ?? '') ? Number(text) : 0;
}

/** What one peer was at the look before, as memory keeps it. */
interface PeerBefore {
  at: number;
  received: number;
  sent: number;
  endpoint: string;
  /** When its endpoint changed last, and from where; 0 when it never did. */
  movedAt: number;
  from: string;
}

/** Takes a look into memory and gives what was there before it. */
export function rememberPeers(
  memory: CheckMemory,
  peers: readonly WireguardPeer[],
  now: number,
): Map<string, PeerBefore> {
  const known = memory.get('peers');
  const before = new Map<string, PeerBefore>();
  if (known !== null && typeof known === 'object') {
    for (const [key, value] of Object.entries(known)) if (isBefore(value)) before.set(key, value);
  }
  const after = peers.slice(0, 200).map((peer): [string, PeerBefore] => {
    const was = before.get(peer.key);
    const hasMoved = was !== undefined && was.endpoint !== peer.endpoint && was.endpoint !== '(none)';
    const moved = hasMoved
      ? { movedAt: now, from: was.endpoint }
      : { movedAt: was?.movedAt ?? 0, from: was?.from ?? '' };
    const { received, sent, endpoint } = peer;
    return [peer.key, { at: now, received, sent, endpoint, ...moved }];
  });
  remember(memory, 'peers', Object.fromEntries(after));
  const current = new Map(after);
  for (const [key, was] of before) {
    const is = current.get(key);
    if (is !== undefined) before.set(key, { ...was, movedAt: is.movedAt, from: is.from });
  }
  return before;
}

function isBefore(value: unknown): value is PeerBefore {
  return value !== null && typeof value === 'object' && 'endpoint' in value && 'movedAt' in value && 'sent' in value;
}

interface PeerRules {
  options: {
    peers: readonly { key: string; name: string; always: boolean }[];
    handshake: { warning: number; critical: number };
    endpoints: boolean;
  };
  now: number;
  before: PeerBefore | undefined;
}

/** A move is told for so long; it is an event without an end of its own. */
const toldMs = 3_600_000;
/** Bytes sent between two looks without one received that are more than keepalives and handshake attempts. */
const stuckBytes = 10_000;

export function peerObservations(peer: WireguardPeer, of: PeerRules): Observation[] {
  const named = of.options.peers.find(({ key }) => key === peer.key);
  const resource =
    named === undefined ? `${peer.interface} ${shortKey(peer.key)}` : `${named.name} (${shortKey(peer.key)})`;
  const labels = {
    interface: peer.interface,
    unit: `wg-quick@${peer.interface}.service`,
    peer: named?.name ?? shortKey(peer.key),
  };
  const said = { resource, labels };
  const isAlways = named?.always ?? peer.keepalive > 0;
  if (!isAlways) {
    const summary = `${resource} ${ageText(peer, of.now)} and need not be connected`;
    return [asleep({ condition: 'wireguard-peer-silent', ...said, summary }, 'it is not connected all the time')];
  }
  return [silence(peer, said, of), ...stuck(peer, said, of.before), ...moved(peer, said, of)];
}

type Named = { resource: string; labels: Record<string, string> };

function ageText(peer: WireguardPeer, now: number): string {
  if (peer.handshakeAt === 0) return 'never had a handshake';
  return `had its last handshake ${formatDuration(Math.max(0, Math.round((now - peer.handshakeAt) / 1_000)) * 1_000)} ago`;
}

function silence(peer: WireguardPeer, said: Named, { options, now }: PeerRules): Observation {
  const summary = `${said.resource} ${ageText(peer, now)}`;
  const condition = 'wireguard-peer-silent';
  // Since the interface came up: there is no age to compare with a limit.
  if (peer.handshakeAt === 0) return state({ condition, ...said, summary, ok: false, severity: 'critical' });
  return level({
    condition,
    ...said,
    summary,
    value: Math.max(0, Math.round((now - peer.handshakeAt) / 1_000)),
    unit: 's',
    bad: 'above',
    warning: options.handshake.warning / 1_000,
    critical: options.handshake.critical / 1_000,
    // The age itself has waited long enough.
    holdMs: 0,
  });
}

function stuck(peer: WireguardPeer, said: Named, before: PeerBefore | undefined): Observation[] {
  // Counters begin at 0 when the interface is made anew.
  if (before === undefined || peer.sent < before.sent || peer.received < before.received) return [];
  const [sent, received] = [peer.sent - before.sent, peer.received - before.received];
  return [
    state({
      condition: 'wireguard-peer-stuck',
      ...said,
      summary: `${said.resource} was sent ${formatBytes(sent)} and sent back ${formatBytes(received)} since the last look`,
      ok: received > 0 || sent < stuckBytes,
      severity: 'warning',
    }),
  ];
}

function moved(peer: WireguardPeer, said: Named, { options, now, before }: PeerRules): Observation[] {
  if (!options.endpoints || before === undefined) return [];
  const hasMoved = before.movedAt > 0 && now - before.movedAt < toldMs;
  return [
    state({
      condition: 'wireguard-peer-moved',
      ...said,
      holdMs: 0,
      summary: hasMoved
        ? `${said.resource} comes from ${peer.endpoint}, before from ${before.from}`
        : `${said.resource} comes from ${peer.endpoint}`,
      ok: !hasMoved,
      severity: 'info',
    }),
  ];
}
