import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Agent, buildConnector as Connectors } from 'undici';
import { type Certificate, chainOf } from './certificate.ts';
import { buildConnector, UndiciAgent } from './undici.ts';

/** How connections to a target are made; equal ones share their connections. */
export interface TlsChoice {
  verify: boolean;
  /** Authorities beside the usual ones, with the version of their file. */
  ca?: { certificates: string[]; version: string };
  /** SHA-256 of the one certificate to accept, in upper case with colons; the authorities then do not matter. */
  fingerprint?: string;
  /** What is shown to a server that asks for it, with the version of its files. */
  client?: { cert: string; key: string; version: string };
}

/** Connections of one choice: kept alive for the next look, or fresh ones that end with the exchange. */
export interface HttpAgents {
  kept: Agent;
  fresh: Agent;
  /** The chain that the last new connection to `host:port` showed. */
  chains: Map<string, Certificate[]>;
}

/** Longer than the usual interval: a new TLS handshake costs twenty times the CPU of a request on an open connection. */
const keepAliveMs = 90_000;
const connectTimeoutMs = 10_000;
const maximumChoices = 50;
const maximumChains = 5_000;

const known = new Map<string, HttpAgents>();

/** The agents of a choice; those of the choice used longest ago are closed when there are too many. */
export function httpAgents(choice: TlsChoice): HttpAgents {
  const key = `${choice.verify} ${choice.ca?.version ?? ''} ${choice.fingerprint ?? ''} ${choice.client?.version ?? ''}`;
  const agents = known.get(key) ?? createAgents(choice);
  known.delete(key);
  known.set(key, agents);
  for (const [oldest, old] of known) {
    if (known.size <= maximumChoices) break;
    known.delete(oldest);
    void old.kept.destroy();
    void old.fresh.destroy();
  }
  return agents;
}

/** Ends all kept connections; the next look opens new ones. */
export async function closeHttpAgents(): Promise<void> {
  const all = [...known.values()];
  known.clear();
  await Promise.all(all.flatMap(({ kept, fresh }) => [kept.destroy(), fresh.destroy()]));
}

function createAgents(choice: TlsChoice): HttpAgents {
  const chains = new Map<string, Certificate[]>();
  const shared = {
    connect: connectorFor(choice, chains),
    // The look has a deadline of its own; undici's timers are counted in whole seconds.
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
  };
  return {
    chains,
    kept: new UndiciAgent({
      ...shared,
      pipelining: 1,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
    }),
    fresh: new UndiciAgent({ ...shared, pipelining: 0 }),
  };
}

function connectorFor(choice: TlsChoice, chains: Map<string, Certificate[]>): Connectors.connector {
  const connect = buildConnector({
    timeout: connectTimeoutMs,
    allowH2: false,
    // A resumed session shows the certificate of the first one, not a renewed one.
    maxCachedSessions: 0,
    rejectUnauthorized: choice.verify && choice.fingerprint === undefined,
    ...(choice.ca !== undefined && { ca: choice.ca.certificates }),
    ...(choice.client !== undefined && { cert: choice.client.cert, key: choice.client.key }),
  });
  return (options, callback) => {
    connect(options, (...[error, socket]: Parameters<Connectors.Callback>) => {
      if (socket instanceof TLSSocket) noteChain(chains, { key: `${options.hostname}:${options.port}`, socket });
      if (error !== null) return callback(error, null);
      if (choice.fingerprint === undefined || isPinned(socket, choice.fingerprint)) return callback(null, socket);
      socket.destroy();
      callback(wrongCertificate(), null);
    });
  };
}

/** A connection without TLS shows no certificate, so it is not the one that is wanted. */
function isPinned(socket: Socket, fingerprint: string): boolean {
  return socket instanceof TLSSocket && socket.getPeerCertificate().fingerprint256 === fingerprint;
}

function wrongCertificate(): Error {
  return Object.assign(new Error('the certificate is not the one that is pinned'), { code: 'ERR_TLS_CERT_PINNED' });
}

function noteChain(chains: Map<string, Certificate[]>, of: { key: string; socket: TLSSocket }): void {
  if (chains.size >= maximumChains) chains.clear();
  chains.set(of.key, chainOf(of.socket.getPeerCertificate(true)));
}

/** The key of `chains` for an address. */
export function chainKey(url: URL): string {
  return `${url.hostname}:${url.port}`;
}
