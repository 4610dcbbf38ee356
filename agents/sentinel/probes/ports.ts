import { parseSockets } from './sockets.ts';

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
export const firstEphemeralPort = 32_768;
const maximumPorts = 500;

/** What others can reach of `parseSockets`, each port once. */
export function parsePorts(text: string): ListeningPort[] {
  const found = new Map<string, ListeningPort>();
  for (const { protocol, port, process, isLocal } of parseSockets(text)) {
    const name = `${protocol}/${port}`;
    if (isLocal || (protocol === 'udp' && port >= firstEphemeralPort)) continue;
    if (found.get(name)?.process !== undefined || (!found.has(name) && found.size >= maximumPorts)) continue;
    found.set(name, { name, protocol, port, ...(process !== undefined && { process }) });
  }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
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
