import { createPublicKey, diffieHellman, generateKeyPairSync, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { formatDuration } from '#config/duration.ts';
import { fingerprintOfKey } from '#agents/runtime/ssh-host-key.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { startDeadline } from './deadline.ts';
import { classifyNetworkError } from './network-error.ts';
import { isSignedBy } from './ssh-key.ts';
import * as wire from './ssh-wire.ts';
import { oneLine } from './text.ts';

interface SshEndpoint {
  address: string;
  port: number;
  giveUpAfterMs: number;
}

interface HostKeyShown {
  /** `SHA256:...`, as `ssh-keygen -lf` prints it. */
  fingerprint: string;
  /** Whether the server proved that it holds the key. */
  isProven: boolean;
}

export type Greeting =
  | { is: 'greeted'; identification: string; offers: wire.Offers; hostKey: HostKeyShown | undefined; ms: number }
  /** Something answers, and it is no SSH server that works. */
  | { is: 'sick'; text: string }
  | { is: 'silent'; text: string }
  | { is: 'unknown'; text: string };

/** Best first; a server shows the key of the one that both sides have. */
export const keyFamilies = [
  ['ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'rsa-sha2-256'],
] as const;

const curves = ['curve25519-sha256', 'curve25519-sha256@libssh.org'];
const identification = 'SSH-2.0-Lares';
const maximumHeard = 131_072;

/**
 * Talks to an SSH server up to the moment it shows and proves its host key, then leaves with a disconnect: no login is
 * tried. Rejects only with the signal's reason.
 */
export function greet(
  endpoint: SshEndpoint,
  context: Pick<CheckContext, 'clock' | 'signal' | 'timeoutMs'>,
  families: readonly (readonly string[])[] = keyFamilies,
): Promise<Greeting> {
  context.signal.throwIfAborted();
  const started = context.clock.now();
  const { promise, resolve, reject } = Promise.withResolvers<Greeting>();
  const socket = connect({ host: endpoint.address, port: endpoint.port, noDelay: true });
  const talk = new Talk(socket, families.flat(), () => context.clock.now() - started);
  let isConnected = false;
  const finish = (greeting: Greeting): void => {
    cancel();
    socket.destroy();
    resolve(greeting);
  };
  const cancel = startDeadline({ ms: endpoint.giveUpAfterMs, context }, (why) => {
    const within = formatDuration(endpoint.giveUpAfterMs);
    if (why === 'time') return finish(isConnected ? talk.broken(`nothing more within ${within}`) : noAnswer(within));
    socket.destroy();
    reject(context.signal.reason as Error);
  });
  socket.on('connect', () => {
    isConnected = true;
    socket.write(`${identification}\r\n`);
  });
  socket.on('data', (chunk: Buffer) => {
    const greeting = talk.hear(chunk);
    if (greeting !== undefined) finish(greeting);
  });
  socket.on('end', () => finish(talk.broken('it hung up')));
  socket.on('error', (error) => {
    const { cause, text } = classifyNetworkError(error);
    if (isConnected) return finish(talk.broken(text));
    finish(cause === 'ours' ? { is: 'unknown', text } : { is: 'silent', text });
  });
  return promise;
}

function noAnswer(within: string): Greeting {
  return { is: 'silent', text: `no answer within ${within}` };
}

/** One conversation: the identification, the offers, the host key. */
class Talk {
  readonly #socket: Socket;
  readonly #wanted: readonly string[];
  readonly #elapsedMs: () => number;
  readonly #pair = generateKeyPairSync('x25519');
  #heard: Buffer = Buffer.alloc(0);
  #line: string | undefined;
  #greetedMs = 0;
  #offered: { offers: wire.Offers; theirs: Buffer; ours: Buffer } | undefined;

  constructor(socket: Socket, wanted: readonly string[], elapsedMs: () => number) {
    this.#socket = socket;
    this.#wanted = wanted;
    this.#elapsedMs = elapsedMs;
  }

  /** What is known when it ends too early. Offers without a key are an answer as well. */
  broken(text: string): Greeting {
    if (this.#offered !== undefined) return this.#greeted(undefined);
    const said = this.#line ?? this.#heard.toString('latin1', 0, 200);
    return { is: 'sick', text: said === '' ? `no greeting: ${text}` : `it says "${oneLine(said, 80)}", then ${text}` };
  }

  hear(chunk: Buffer): Greeting | undefined {
    this.#heard = Buffer.concat([this.#heard, chunk]);
    if (this.#heard.length > maximumHeard) return this.broken('it talks without end');
    if (this.#line === undefined) {
      const first = wire.identification(this.#heard);
      if (first === 'wait') return undefined;
      if (first === 'not-ssh')
        return {
          is: 'sick',
          text: `it says "${oneLine(this.#heard.toString('latin1', 0, 200), 80)}", which is not SSH 2`,
        };
      this.#line = first.line;
      this.#greetedMs = this.#elapsedMs();
      this.#heard = first.rest;
    }
    return this.#packets();
  }

  #packets(): Greeting | undefined {
    for (;;) {
      const packet = wire.firstPacket(this.#heard);
      if (packet === 'wait') return undefined;
      if (packet === 'broken') return this.broken('bytes that are no SSH');
      this.#heard = packet.rest;
      const greeting = this.#take(packet.payload);
      if (greeting !== undefined) return greeting;
    }
  }

  #take(payload: Buffer): Greeting | undefined {
    const [type] = payload;
    if (type === wire.message.disconnect) return this.broken(disconnectText(payload));
    if (this.#offered === undefined) return type === wire.message.kexInit ? this.#answerOffers(payload) : undefined;
    return type === wire.message.ecdhReply ? this.#greeted(this.#keyOf(payload)) : undefined;
  }

  /** Undefined when the host key comes next. */
  #answerOffers(theirs: Buffer): Greeting | undefined {
    const offers = wire.readOffers(theirs);
    if (offers === undefined) return this.broken('offers that cannot be read');
    const kex = curves.find((name) => offers.kex.includes(name));
    const hostKey = this.#wanted.find((name) => offers.hostKeys.includes(name));
    const ours =
      kex === undefined || hostKey === undefined
        ? Buffer.alloc(0)
        : wire.kexInitOf({ cookie: randomBytes(16), kex, hostKey, theirs: offers });
    this.#offered = { offers, theirs, ours };
    if (ours.length === 0) return this.#greeted(undefined);
    const init = Buffer.concat([Buffer.from([wire.message.ecdhInit]), wire.wireString(this.#point())]);
    this.#socket.write(Buffer.concat([wire.packetOf(ours), wire.packetOf(init)]));
    return undefined;
  }

  #point(): Buffer {
    return Buffer.from(this.#pair.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  }

  #keyOf(reply: Buffer): HostKeyShown | undefined {
    const reader = new wire.WireReader(reply, 1);
    const [hostKey, theirPoint, signature] = [reader.string(), reader.string(), reader.string()];
    if (hostKey === undefined || this.#offered === undefined) return undefined;
    const shared = theirPoint === undefined ? undefined : this.#sharedWith(theirPoint);
    const isProven =
      theirPoint !== undefined &&
      signature !== undefined &&
      shared !== undefined &&
      isSignedBy(signature, {
        ourIdentification: identification,
        theirIdentification: this.#line ?? '',
        ourKexInit: this.#offered.ours,
        theirKexInit: this.#offered.theirs,
        hostKey,
        ourPoint: this.#point(),
        theirPoint,
        shared,
      });
    return { fingerprint: fingerprintOfKey(hostKey), isProven };
  }

  #sharedWith(point: Buffer): Buffer | undefined {
    try {
      const publicKey = createPublicKey({
        key: { kty: 'OKP', crv: 'X25519', x: point.toString('base64url') },
        format: 'jwk',
      });
      return diffieHellman({ privateKey: this.#pair.privateKey, publicKey });
    } catch {
      // A point of the wrong size or order: nothing is shared, so nothing is proven.
      return undefined;
    }
  }

  #greeted(hostKey: HostKeyShown | undefined): Greeting {
    this.#socket.write(wire.packetOf(wire.disconnectPayload()));
    const { offers } = this.#offered ?? {};
    if (offers === undefined) return { is: 'sick', text: 'it offers nothing' };
    return { is: 'greeted', identification: this.#line ?? '', offers, hostKey, ms: this.#greetedMs };
  }
}

function disconnectText(payload: Buffer): string {
  const said = new wire.WireReader(payload, 5).string()?.toString('utf8') ?? '';
  return `it disconnects: "${oneLine(said, 80)}"`;
}
