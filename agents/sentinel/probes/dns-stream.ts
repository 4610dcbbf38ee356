import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Endpoint } from './endpoint.ts';
import { type PeerShown, peerShown } from './peer-shown.ts';

/** DNS over TLS (RFC 7858). */
export interface DnsTls {
  /** What the certificate has to be for. */
  name: string;
  ca?: string[];
}

const maximumMessage = 65_535;

/**
 * One message with its length in front, and the first that comes back. Of a zone transfer that is the beginning, which
 * shows whether it is allowed; the connection then ends, so that no zone is fetched only to be thrown away.
 */
export async function exchangeStream(
  of: { server: Endpoint; query: Buffer; tls?: DnsTls },
  signal: AbortSignal,
): Promise<{ reply: Buffer; certificate?: PeerShown }> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = open(of);
  socket.setNoDelay(true);
  signal.addEventListener('abort', () => socket.destroy(), { once: true });
  const prefix = Buffer.alloc(2);
  prefix.writeUInt16BE(of.query.length);
  socket.once(of.tls === undefined ? 'connect' : 'secureConnect', () =>
    socket.write(Buffer.concat([prefix, of.query])),
  );
  let received: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]).subarray(0, maximumMessage + 2);
    if (received.length < 2) return;
    const end = 2 + received.readUInt16BE(0);
    if (received.length >= end) resolve(received.subarray(2, end));
  });
  socket.on('error', reject);
  socket.on('close', () => reject(Object.assign(new Error('it hung up'), { code: 'ECONNRESET' })));
  const reply = await promise;
  if (of.tls === undefined) return { reply };
  return { reply, certificate: peerShown(socket as TLSSocket) };
}

function open({ server, tls }: { server: Endpoint; tls?: DnsTls }): Socket {
  if (tls === undefined) return connect({ host: server.address, port: server.port });
  return connectTls({
    host: server.address,
    port: server.port,
    // Looked at and told as a finding; nothing secret is asked.
    rejectUnauthorized: false,
    ALPNProtocols: ['dot'],
    ...(isIP(tls.name) === 0 && { servername: tls.name }),
    ...(tls.ca !== undefined && { ca: tls.ca }),
  });
}
