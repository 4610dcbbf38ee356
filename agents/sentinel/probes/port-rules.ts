import { z } from 'zod';
import { matchesAny } from './glob.ts';
import { firstEphemeralPort } from './ports.ts';
import type { Socket } from './sockets.ts';

const written = /^(\*|\d{1,5})(?:-(\d{1,5}))?\/(tcp|udp)(?: ([^\s].{0,99}))?$/;

/** Ports as people write them: `22/tcp`, `443/tcp caddy`, `8000-8100/tcp`, `* /udp` of a program. */
export function portRule() {
  return z
    .string()
    .max(120)
    .refine((text) => parsePortRule(text) !== undefined, {
      error: 'must be a port such as 22/tcp, 443/tcp caddy, 8000-8100/tcp or */tcp crowdsec',
    });
}

interface PortRule {
  text: string;
  protocol: 'tcp' | 'udp';
  from: number;
  to: number;
  /** The program or the unit that has it; absent: any. */
  owner?: string;
}

function parsePortRule(text: string): PortRule | undefined {
  const [, first, last, protocol, owner] = written.exec(text) ?? [];
  if (first === undefined) return undefined;
  const from = first === '*' ? 0 : Number(first);
  const to = first === '*' ? 65_535 : Number(last ?? first);
  if (from > to || to > 65_535) return undefined;
  return { text, protocol: protocol === 'udp' ? 'udp' : 'tcp', from, to, ...(owner !== undefined && { owner }) };
}

export function rulesOf(texts: readonly string[]): PortRule[] {
  return texts.flatMap((text) => parsePortRule(text) ?? []);
}

/** What stands behind one port, whatever addresses it is bound to. */
export interface OpenPort {
  /** `443/tcp`. */
  name: string;
  protocol: 'tcp' | 'udp';
  port: number;
  addresses: string[];
  process?: string;
  unit?: string;
}

/** The ports that others can reach. A UDP socket with a high port is almost always a client that waits for its answer. */
export function openPorts(sockets: readonly Socket[], maximum = 1_000): OpenPort[] {
  const found = new Map<string, OpenPort>();
  for (const socket of sockets) {
    const { protocol, port } = socket;
    if (socket.isLocal || (protocol === 'udp' && port >= firstEphemeralPort)) continue;
    const name = `${port}/${protocol}`;
    const known = found.get(name);
    if (known === undefined && found.size >= maximum) continue;
    found.set(name, joined({ name, protocol, port, addresses: known?.addresses ?? [] }, [known, socket]));
  }
  return [...found.values()].toSorted((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

/** One port of several sockets: all its addresses, and the owner that any of them names. */
function joined(port: OpenPort, [known, socket]: [OpenPort | undefined, Socket]): OpenPort {
  const process = known?.process ?? socket.process;
  const unit = known?.unit ?? socket.unit;
  return {
    ...port,
    addresses: [...new Set([...port.addresses, socket.address])].slice(0, 20),
    ...(process !== undefined && { process }),
    ...(unit !== undefined && { unit }),
  };
}

/** Whether a rule speaks of this port; of an owner that cannot be read it is believed. */
export function isMeant(rule: PortRule, port: OpenPort): boolean {
  if (rule.protocol !== port.protocol || port.port < rule.from || port.port > rule.to) return false;
  const { owner } = rule;
  if (owner === undefined) return true;
  const names = ownersOf(port);
  // A rule for every port of a program says nothing about programs that cannot be seen.
  if (names.length === 0) return rule.from === rule.to;
  return names.some((name) => matchesAny(name, [owner, `${owner}.service`, `${owner}.socket`]));
}

function ownersOf(port: OpenPort): string[] {
  return [port.process, port.unit].filter((name) => name !== undefined);
}

export function ownerOf(port: OpenPort): string | undefined {
  return port.process ?? port.unit;
}
