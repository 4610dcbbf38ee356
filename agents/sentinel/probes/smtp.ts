import { connect, isIP, isIPv6, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { messageOf } from '#bus/failure.ts';
import type { Endpoint } from './endpoint.ts';
import { classifyNetworkError } from './network-error.ts';
import { type PeerShown, peerShown } from './peer-shown.ts';
import { oneLine } from './text.ts';

/** One reply: three digits and the text of its lines (RFC 5321, section 4.2). */
interface SmtpReply {
  code: number;
  lines: string[];
}

/** A server that answered, but not as a mail server does, or that refuses to talk. */
export class SmtpRefusal extends Error {}

const maximumReplyBytes = 65_536;
const replyLine = /^(\d{3})([ -]?)(.*)$/;

/** A conversation of commands and replies, one at a time. Contract: the signal closes its connection. */
class SmtpConversation {
  readonly #signal: AbortSignal;
  #socket: Socket;
  #received = '';
  #waiting: { resolve: (reply: SmtpReply) => void; reject: (error: Error) => void } | undefined;
  #fault: Error | undefined;

  constructor(server: Endpoint, signal: AbortSignal) {
    this.#signal = signal;
    this.#socket = connect({ host: server.address, port: server.port, noDelay: true });
    signal.addEventListener('abort', () => this.#socket.destroy(), { once: true });
    this.#listen();
  }

  /** How this machine introduces itself without a name: an address literal (RFC 5321, section 4.1.3). */
  get literal(): string {
    const address = this.#socket.localAddress ?? '127.0.0.1';
    return isIPv6(address) ? `[IPv6:${address}]` : `[${address}]`;
  }

  /** The next reply; rejects with why there is none. */
  async reply(): Promise<SmtpReply> {
    if (this.#fault !== undefined) throw this.#fault;
    const { promise, resolve, reject } = Promise.withResolvers<SmtpReply>();
    this.#waiting = { resolve, reject };
    this.#deliver();
    return promise;
  }

  async command(line: string): Promise<SmtpReply> {
    if (/[\r\n]/.test(line)) throw new SmtpRefusal('a command is one line');
    // What came without being asked for is not the answer to what comes now.
    this.#received = '';
    this.#socket.write(`${line}\r\n`);
    return this.reply();
  }

  /** Goes on over TLS with whatever certificate is shown: it is told, and nothing secret is ever said. */
  async startTls(of: { name: string; ca?: string[] | undefined }): Promise<PeerShown> {
    this.#socket.removeAllListeners();
    // What was sent before the handshake must not count as said under TLS (the flaw of CVE-2011-0411).
    this.#received = '';
    const { promise, resolve, reject } = Promise.withResolvers<PeerShown>();
    const socket: TLSSocket = connectTls({
      socket: this.#socket,
      rejectUnauthorized: false,
      ...(isIP(of.name) === 0 && { servername: of.name }),
      ...(of.ca !== undefined && { ca: of.ca }),
    });
    this.#signal.addEventListener('abort', () => socket.destroy(), { once: true });
    this.#socket = socket;
    socket.once('secureConnect', () => resolve(peerShown(socket)));
    this.#listen(reject);
    return promise;
  }

  #listen(rejectHandshake?: (error: Error) => void): void {
    const fail = (error: Error): void => {
      this.#fault ??= error;
      rejectHandshake?.(this.#fault);
      this.#waiting?.reject(this.#fault);
      this.#waiting = undefined;
    };
    this.#socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1');
      if (this.#received.length > maximumReplyBytes) fail(new SmtpRefusal('its reply has no end'));
      else this.#deliver();
    });
    this.#socket.on('error', fail);
    this.#socket.on('close', () => fail(new SmtpRefusal('it hung up')));
  }

  #deliver(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const lines: string[] = [];
    let from = 0;
    for (let end = this.#received.indexOf('\n'); end !== -1; end = this.#received.indexOf('\n', from)) {
      const line = this.#received.slice(from, end).replace(/\r$/, '');
      from = end + 1;
      const match = replyLine.exec(line);
      if (match === null) {
        this.#waiting = undefined;
        return waiting.reject(new SmtpRefusal(`it does not speak SMTP: "${oneLine(line, 80)}"`));
      }
      lines.push(match[3] ?? '');
      if (match[2] === '-') continue;
      this.#received = this.#received.slice(from);
      this.#waiting = undefined;
      return waiting.resolve({ code: Number(match[1]), lines });
    }
  }
}

export interface SmtpWish {
  server: Endpoint;
  tls: 'offered' | 'required' | 'implicit' | 'none';
  tlsName: string;
  ca?: string[] | undefined;
  heloName?: string | undefined;
  /** Whether it would take mail from and for strangers: asked up to RCPT, taken back with RSET, never sent. */
  relay?: { from: string; to: string } | undefined;
}

/** What a mail server said of itself. */
export interface SmtpTalk {
  greeting: string;
  offersStartTls: boolean;
  /** Mechanisms of AUTH before and after TLS; after is the same where there is no TLS. */
  authBefore: string[];
  authAfter: string[];
  certificate?: PeerShown;
  /** Why TLS was offered and did not come to be. */
  tlsFault?: string;
  /** The reply to a recipient that is none of its own, or to a sender, where that was refused already. */
  relayReply?: SmtpReply;
}

/** Talks to a mail server as a client does that has nothing to send. */
export async function talkSmtp(wish: SmtpWish, signal: AbortSignal): Promise<SmtpTalk> {
  const talk = new SmtpConversation(wish.server, signal);
  const tls = { name: wish.tlsName, ca: wish.ca };
  const implicit = wish.tls === 'implicit' ? await talk.startTls(tls) : undefined;
  const greeting = await talk.reply();
  if (greeting.code !== 220) throw new SmtpRefusal(`it greets with ${replyText(greeting)}`);
  const before = await hello(talk, wish);
  const said: SmtpTalk = {
    greeting: oneLine(greeting.lines.join(' '), 200),
    offersStartTls: extensionOf(before, 'STARTTLS') !== undefined,
    authBefore: implicit === undefined ? mechanismsOf(before) : [],
    authAfter: mechanismsOf(before),
    ...(implicit !== undefined && { certificate: implicit }),
  };
  if (said.offersStartTls && implicit === undefined && wish.tls !== 'none') {
    const fault = await secure(talk, { wish, said });
    // The conversation cannot go on in clear after a handshake that failed.
    if (fault !== undefined) return { ...said, tlsFault: fault, authAfter: [] };
  }
  if (wish.relay !== undefined) said.relayReply = await tryRelay(talk, wish.relay);
  await talk.command('QUIT').catch((error: unknown) => error);
  return said;
}

async function secure(talk: SmtpConversation, of: { wish: SmtpWish; said: SmtpTalk }): Promise<string | undefined> {
  const go = await talk.command('STARTTLS');
  if (go.code !== 220) return `it answers STARTTLS with ${replyText(go)}`;
  try {
    of.said.certificate = await talk.startTls({ name: of.wish.tlsName, ca: of.wish.ca });
  } catch (error) {
    return error instanceof SmtpRefusal ? messageOf(error) : classifyNetworkError(error).text;
  }
  of.said.authAfter = mechanismsOf(await hello(talk, of.wish));
  return undefined;
}

async function hello(talk: SmtpConversation, wish: SmtpWish): Promise<SmtpReply> {
  const name = wish.heloName ?? talk.literal;
  const extended = await talk.command(`EHLO ${name}`);
  if (extended.code === 250) return extended;
  const plain = await talk.command(`HELO ${name}`);
  if (plain.code === 250) return { ...plain, lines: plain.lines.slice(0, 1) };
  throw new SmtpRefusal(`it answers EHLO with ${replyText(extended)}`);
}

async function tryRelay(talk: SmtpConversation, relay: { from: string; to: string }): Promise<SmtpReply> {
  const sender = await talk.command(`MAIL FROM:<${relay.from}>`);
  if (sender.code >= 400) return sender;
  const recipient = await talk.command(`RCPT TO:<${relay.to}>`);
  await talk.command('RSET').catch((error: unknown) => error);
  return recipient;
}

/** The first line of a reply to EHLO is the server's name, each other one an extension. */
function extensionOf({ lines }: SmtpReply, name: string): string | undefined {
  return lines.slice(1).find((line) => line.toUpperCase().split(/[ =]/)[0] === name);
}

function mechanismsOf(reply: SmtpReply): string[] {
  const line = extensionOf(reply, 'AUTH');
  return line === undefined ? [] : line.toUpperCase().split(/[ =]+/).slice(1, 30);
}

export function replyText({ code, lines }: SmtpReply): string {
  return oneLine(`${code} ${lines.join(' ')}`, 200);
}
