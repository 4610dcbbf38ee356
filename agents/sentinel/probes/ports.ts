/** Something that waits for connections on an address that others can reach. */
export interface ListeningPort {
  /** `tcp/443`: stable over restarts and address families. */
  name: string;
  protocol: 'tcp' | 'udp';
  port: number;
  /** Known only to root. */
  process?: string;
}

/**
 * Above it (Linux's `ip_local_port_range`) a UDP socket is almost always a client waiting for its answer, for which
 * the kernel shows the same state as for a server.
 */
const firstEphemeralPort = 32_768;
const maximumPorts = 500;

/** `ss -Hltnup`, or after `proc tcp` and the like the kernel's tables where there is no `ss`. */
export function parsePorts(text: string): ListeningPort[] {
  const found = new Map<string, ListeningPort>();
  let table: string | undefined;
  for (const line of text.split('\n')) {
    const heading = /^proc (tcp6?|udp6?)$/.exec(line)?.[1];
    if (heading !== undefined) {
      table = heading;
      continue;
    }
    const port = table === undefined ? fromSs(line) : fromProc(table, line);
    if (port === undefined || found.size >= maximumPorts) continue;
    if (port.protocol === 'udp' && port.port >= firstEphemeralPort) continue;
    const known = found.get(port.name);
    if (known === undefined || known.process === undefined) found.set(port.name, port);
  }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

const ssLine = /^(tcp|udp)\s+(?:LISTEN|UNCONN)\s+\d+\s+\d+\s+(\S+):(\d+)\s+\S+(?:\s+users:\(\("((?:[^"\\]|\\.)*)")?/;

function fromSs(line: string): ListeningPort | undefined {
  const match = ssLine.exec(line);
  if (match === null || isLoopback(match[2] ?? '')) return undefined;
  const protocol = match[1] === 'tcp' ? 'tcp' : 'udp';
  return {
    name: `${protocol}/${match[3]}`,
    protocol,
    port: Number(match[3]),
    ...(match[4] !== undefined && { process: match[4] }),
  };
}

function isLoopback(address: string): boolean {
  const bare = address.replaceAll(/[[\]]|%.*$/g, '');
  return bare.startsWith('127.') || bare === '::1' || bare.startsWith('::ffff:127.') || /%lo\b/.test(address);
}

/** `  0: 0100007F:0277 00000000:0000 0A ...`: addresses as little-endian words, state 0A is LISTEN, 07 unconnected UDP. */
function fromProc(table: string, line: string): ListeningPort | undefined {
  const match = /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /.exec(line);
  if (match === null) return undefined;
  const protocol = table.startsWith('tcp') ? 'tcp' : 'udp';
  if (match[3] !== (protocol === 'tcp' ? '0A' : '07')) return undefined;
  const address = match[1] ?? '';
  const isLoop =
    address.length === 8
      ? address.endsWith('7F')
      : address === '00000000000000000000000001000000' || /^0{16}FFFF0000.{6}7F$/.test(address);
  const port = parseInt(match[2] ?? '', 16);
  return isLoop ? undefined : { name: `${protocol}/${port}`, protocol, port };
}

/** What a check remembers of the ports: those that belong, and those that are new. */
interface PortMemory {
  known: string[];
  fresh: Record<string, { since: number; process: string }>;
}

/** A port that stays open for so long belongs. */
export const portSettlesMs = 24 * 3_600_000;

/** The memory after a look. At the first look everything belongs. */
export function rememberPorts(
  memory: PortMemory | undefined,
  ports: readonly ListeningPort[],
  now: number,
): PortMemory {
  if (memory === undefined) return { known: ports.map((port) => port.name), fresh: {} };
  const known = new Set(memory.known);
  const fresh: PortMemory['fresh'] = {};
  for (const port of ports) {
    if (known.has(port.name)) continue;
    const earlier = memory.fresh[port.name];
    if (earlier !== undefined && now - earlier.since >= portSettlesMs) known.add(port.name);
    // The process of the first look stays: a label that changes would be another finding.
    else fresh[port.name] = earlier ?? { since: now, process: port.process ?? 'unknown' };
  }
  return { known: [...known].slice(-maximumPorts), fresh };
}

export function isPortMemory(value: unknown): value is PortMemory {
  return (
    value !== null &&
    typeof value === 'object' &&
    'known' in value &&
    Array.isArray(value.known) &&
    'fresh' in value &&
    value.fresh !== null &&
    typeof value.fresh === 'object'
  );
}
