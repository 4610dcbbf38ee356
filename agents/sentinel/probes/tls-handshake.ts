import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { formatDuration } from '#config/duration.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { startDeadline } from './deadline.ts';
import { classifyNetworkError } from './network-error.ts';
import { startTls, type starttlsProtocols } from './starttls.ts';
import { oneLine } from './text.ts';

export interface TlsEndpoint {
  address: string;
  port: number;
  /** Default: the address. */
  tlsName?: string | undefined;
  starttls?: (typeof starttlsProtocols)[number] | undefined;
  /** Authorities to trust, all of them. */
  ca?: string[] | undefined;
  giveUpAfterMs: number;
}

export type Handshake =
  | { is: 'shown'; peer: DetailedPeerCertificate; authorizationError: string | undefined; protocol: string }
  | { is: 'broken'; text: string }
  | { is: 'unknown'; text: string };

/**
 * Shakes hands and looks at what is shown: nothing is trusted, and nothing but the handshake is sent. A server that
 * connects and cannot do TLS is `broken`; one that does not connect was not looked at. Rejects with the signal's reason.
 */
export async function shakeHands(
  endpoint: TlsEndpoint,
  context: Pick<CheckContext, 'clock' | 'signal' | 'timeoutMs'>,
): Promise<Handshake> {
  context.signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Handshake>();
  const plain = connectPlain({ host: endpoint.address, port: endpoint.port, noDelay: true });
  let phase: 'connection' | 'begin of TLS' | 'TLS handshake' = 'connection';
  const finish = (handshake: Handshake): void => {
    cancel();
    plain.destroy();
    resolve(handshake);
  };
  const cancel = startDeadline({ ms: endpoint.giveUpAfterMs, context }, (why) => {
    const text = `no ${phase} within ${formatDuration(endpoint.giveUpAfterMs)}`;
    if (why === 'time') return finish({ is: 'unknown', text });
    plain.destroy();
    reject(context.signal.reason as Error);
  });
  plain.on('error', (error) => finish(failed(error, phase !== 'connection')));
  plain.on('connect', () => {
    phase = 'begin of TLS';
    void opening(plain, endpoint).then((refusal) => {
      if (refusal !== undefined) return finish({ is: 'broken', text: refusal });
      phase = 'TLS handshake';
      secure(plain, endpoint, finish);
    });
  });
  return promise;
}

function opening(socket: Socket, { starttls, tlsName, address }: TlsEndpoint): Promise<string | undefined> {
  return starttls === undefined ? Promise.resolve(undefined) : startTls(socket, starttls, tlsName ?? address);
}

function secure(plain: Socket, endpoint: TlsEndpoint, finish: (handshake: Handshake) => void): void {
  const socket = connect({
    socket: plain,
    rejectUnauthorized: false,
    // Names are judged by whoever asked; here only the chain is.
    checkServerIdentity: () => undefined,
    ...serverName(endpoint),
    ...(endpoint.ca !== undefined && { ca: endpoint.ca }),
  });
  socket.on('secureConnect', () => finish(shownBy(socket)));
  socket.on('error', (error) => finish(failed(error, true)));
  socket.on('end', () => finish({ is: 'unknown', text: 'the server hung up before the handshake ended' }));
  socket.on('close', () => finish({ is: 'unknown', text: 'the server hung up before the handshake ended' }));
}

/** SNI takes names only (RFC 6066, section 3). */
function serverName({ tlsName, address }: TlsEndpoint): { servername?: string } {
  const name = tlsName ?? address;
  return isIP(name) === 0 ? { servername: name } : {};
}

function shownBy(socket: TLSSocket): Handshake {
  const error: unknown = socket.authorizationError;
  const code = error instanceof Error ? ('code' in error ? String(error.code) : error.message) : error;
  return {
    is: 'shown',
    peer: socket.getPeerCertificate(true),
    authorizationError: typeof code === 'string' && code !== '' ? code : undefined,
    protocol: oneLine(socket.getProtocol() ?? 'TLS', 20),
  };
}

function failed(error: Error, isConnected: boolean): Handshake {
  const { cause, text } = classifyNetworkError(error);
  return cause === 'tls' && isConnected ? { is: 'broken', text } : { is: 'unknown', text };
}
