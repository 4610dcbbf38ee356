import { connect } from 'node:net';
import type { Client, ConnectConfig } from 'ssh2';
import { messageOf } from '#bus/failure.ts';
import type { Clock } from './clock.ts';
import { fingerprintOfKey, hostKeyRefusal } from './ssh-host-key.ts';
import { loadSsh } from './ssh-library.ts';
import { readCredentials } from './ssh-login.ts';

/** Where to log in and how; `hostKeys` as `ssh-keygen -lf` prints them. */
export interface SshTarget {
  address: string;
  port: number;
  user: string;
  /** Pinned. Empty: the host is not connected to, and the reason shows its fingerprint. */
  hostKeys: readonly string[];
  /** Absent: the agent at SSH_AUTH_SOCK. */
  keyFile?: string | undefined;
  passphraseFile?: string | undefined;
}

export type SshConnected =
  | { ok: true; client: Client }
  /** `login`: the host refused the login itself; asking again at once makes OpenSSH ban the address. */
  | { ok: false; reason: string; login: boolean };

/** From the first packet to a login. */
const readyTimeoutMs = 10_000;
/** Three silent intervals end the connection: 30 s, where TCP alone takes a quarter of an hour. */
const keepaliveIntervalMs = 10_000;

/** Connects and logs in to a host whose key is pinned. Never throws for what the world does, nor when aborted. */
export async function connectSsh(
  target: SshTarget,
  context: { clock: Clock; signal: AbortSignal },
): Promise<SshConnected> {
  const credentials = await readCredentials(target);
  if (!credentials.ok) return { ok: false, reason: credentials.reason, login: false };
  const { Client: SshClient } = await loadSsh();
  // Nagle's algorithm makes each command about 40 ms slower; ssh2 leaves it on for the sockets that it opens itself.
  const sock = connect({ host: target.address, port: target.port, noDelay: true });
  const client = new SshClient();
  const attempt = watch({ client, clock: context.clock, signal: context.signal });
  try {
    client.connect({
      ...credentials.config,
      sock,
      username: target.user,
      readyTimeout: readyTimeoutMs,
      keepaliveInterval: keepaliveIntervalMs,
      keepaliveCountMax: 3,
      hostVerifier: (key: Buffer): boolean => {
        const shown = fingerprintOfKey(key);
        if (target.hostKeys.includes(shown)) return true;
        attempt.settle({ ok: false, reason: hostKeyRefusal(shown, target.hostKeys), login: false });
        return false;
      },
    } satisfies ConnectConfig);
  } catch (error) {
    attempt.settle({ ok: false, reason: messageOf(error), login: false });
  }
  const connected = await attempt.done;
  if (!connected.ok) {
    client.destroy();
    sock.destroy();
  }
  return connected;
}

interface Attempt {
  done: Promise<SshConnected>;
  settle(outcome: SshConnected): void;
}

function watch(of: { client: Client; clock: Clock; signal: AbortSignal }): Attempt {
  const { promise, resolve } = Promise.withResolvers<SshConnected>();
  const fail = (reason: string, login = false): void => resolve({ ok: false, reason, login });
  const cancel = of.clock.after(readyTimeoutMs, () => fail(`no login within ${readyTimeoutMs / 1_000}s`));
  const abort = (): void => fail('the connections are being closed');
  if (of.signal.aborted) abort();
  else of.signal.addEventListener('abort', abort, { once: true });
  of.client.on('ready', () => resolve({ ok: true, client: of.client }));
  of.client.on('error', (error) => fail(error.message, 'level' in error && error.level === 'client-authentication'));
  // A host that shuts down closes after the login was accepted: neither `ready` nor `error` ever comes.
  of.client.on('close', () => fail('the host closed the connection before the login ended (it may be shutting down)'));
  void promise.then(() => {
    cancel();
    of.signal.removeEventListener('abort', abort);
  });
  return { done: promise, settle: resolve };
}
