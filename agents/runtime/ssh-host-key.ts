import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import type { ConnectConfig } from 'ssh2';
import { Failure, messageOf } from '#bus/failure.ts';
import { loadSsh } from './ssh-library.ts';

/** A host key as `ssh-keygen -lf` prints it: `SHA256:` and the unpadded base64 of the hash of the key blob. */
export function fingerprintOfKey(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** Why a connection was refused over its host key, and what a person does about it. */
export function hostKeyRefusal(shown: string, pinned: readonly string[]): string {
  if (pinned.length > 0) {
    return `host key changed: it shows ${shown}, pinned is ${pinned.join(', ')}; nothing was sent to it`;
  }
  return (
    `host key is not pinned: it shows ${shown}; compare with "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" ` +
    `on the host, then write hostKeys: ["${shown}"] below the host in the configuration`
  );
}

/** One family of keys per scan: a server shows only the key of the algorithm that was agreed on. */
const families = [
  ['ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'rsa-sha2-256'],
] as const;

type Scan = { shown: string } | { reason: string };

/**
 * Asks a host for the fingerprints of its keys, best algorithm first. Nothing is sent that a stranger may not know: no
 * login is tried. Throws a recoverable Failure when it shows none.
 */
export async function scanHostKey(address: string, port: number, signal: AbortSignal): Promise<readonly string[]> {
  const scans = await Promise.all(families.map((algorithms) => scan({ address, port, algorithms, signal })));
  signal.throwIfAborted();
  const shown = scans.flatMap((one) => ('shown' in one ? [one.shown] : []));
  if (shown.length > 0) return shown;
  const [first] = scans;
  const reason = first !== undefined && 'reason' in first ? first.reason : 'it shows none';
  throw new Failure(`Cannot read the host keys of "${address}" port ${port}: ${reason}`, { recoverable: true });
}

async function scan(of: {
  address: string;
  port: number;
  algorithms: readonly string[];
  signal: AbortSignal;
}): Promise<Scan> {
  const { Client } = await loadSsh();
  const sock = connect({ host: of.address, port: of.port, noDelay: true });
  const client = new Client();
  const { promise, resolve } = Promise.withResolvers<Scan>();
  const abort = (): void => resolve({ reason: 'aborted' });
  of.signal.addEventListener('abort', abort, { once: true });
  sock.setTimeout(10_000, () => resolve({ reason: 'no answer within 10s' }));
  sock.on('error', (error) => resolve({ reason: messageOf(error) }));
  client.on('error', (error) => resolve({ reason: messageOf(error) }));
  client.on('close', () => resolve({ reason: 'the connection was closed' }));
  try {
    client.connect({
      sock,
      username: 'lares',
      algorithms: { serverHostKey: [...of.algorithms] as NonNullable<ConnectConfig['algorithms']>['serverHostKey'] },
      hostVerifier: (key: Buffer) => {
        resolve({ shown: fingerprintOfKey(key) });
        return false;
      },
    } as ConnectConfig);
    return await promise;
  } finally {
    of.signal.removeEventListener('abort', abort);
    client.destroy();
    sock.destroy();
  }
}
