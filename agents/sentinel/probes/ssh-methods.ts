import { connect } from 'node:net';
import type { AuthenticationType, Client } from 'ssh2';
import { formatDuration } from '#config/duration.ts';
import { loadSsh } from '#agents/runtime/ssh-library.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { startDeadline } from './deadline.ts';
import { oneLine } from './text.ts';

/** How a server lets people in. */
export type LoginMethods =
  | { is: 'offered'; methods: string[] }
  /** It asked for nothing at all. */
  | { is: 'open' }
  | { is: 'unknown'; reason: string };

interface Asked {
  address: string;
  port: number;
  user: string;
  giveUpAfterMs: number;
}

const maximumMethods = 20;

/**
 * Asks which methods a server offers a user: the request "none" of RFC 4252, section 5.2, which is there for that. No
 * password and no key is tried. Nothing that is said is secret, so the host key is not judged here. Rejects only with
 * the signal's reason.
 */
export async function askLoginMethods(
  asked: Asked,
  context: Pick<CheckContext, 'clock' | 'signal' | 'timeoutMs'>,
): Promise<LoginMethods> {
  const { Client: SshClient } = await loadSsh();
  context.signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<LoginMethods>();
  const sock = connect({ host: asked.address, port: asked.port, noDelay: true });
  const client = new SshClient();
  const cancel = startDeadline({ ms: asked.giveUpAfterMs, context }, (why) => {
    if (why !== 'time') return reject(context.signal.reason as Error);
    resolve({ is: 'unknown', reason: `it did not tell within ${formatDuration(asked.giveUpAfterMs)}` });
  });
  listen(client, resolve);
  // One without a listener would end the process.
  sock.on('error', ({ message }) => resolve({ is: 'unknown', reason: oneLine(message, 200) }));
  client.connect({
    sock,
    username: asked.user,
    // The clock above ends it.
    readyTimeout: 0,
    // The types do not say that before the first try there is no list.
    authHandler: (left: AuthenticationType[] | null) => {
      if (left === null) return 'none';
      resolve({ is: 'offered', methods: left.slice(0, maximumMethods).map((method) => oneLine(method, 60)) });
      return false;
    },
  });
  try {
    return await promise;
  } finally {
    cancel();
    client.end();
    sock.destroy();
  }
}

function listen(client: Client, resolve: (methods: LoginMethods) => void): void {
  client.on('ready', () => resolve({ is: 'open' }));
  client.on('error', ({ message }) => resolve({ is: 'unknown', reason: oneLine(message, 200) }));
  client.on('close', () => resolve({ is: 'unknown', reason: 'it hung up' }));
}
