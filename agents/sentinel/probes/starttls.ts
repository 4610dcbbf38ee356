import type { Socket } from 'node:net';

/** Protocols that begin in plain text and change to TLS when asked to. */
export const starttlsProtocols = ['smtp', 'imap', 'pop3', 'ftp', 'sieve', 'xmpp', 'ldap', 'postgres', 'mysql'] as const;
type Protocol = (typeof starttlsProtocols)[number];

/** More of a greeting is not read. */
const maximumBytes = 16_384;

type Verdict = (heard: Buffer) => 'go on' | 'wait' | 'refused';

/** One turn: what is sent, and whether what came since is the whole answer, a refusal, or not yet all of it. */
interface Turn {
  send?: (host: string) => string | Buffer;
  /** Absent where nothing is answered before the handshake. */
  verdict?: Verdict;
}

/**
 * Talks until the server is ready for the handshake. Resolves with undefined, or with why there will be none. Contract:
 * nothing is sent but the questions of the protocol; the caller ends the socket and keeps the time.
 */
export function startTls(socket: Socket, protocol: Protocol, host: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const turns = [...dialogues[protocol]];
  let heard = Buffer.alloc(0);
  const finish = (reason: string | undefined): void => {
    socket.off('data', hear).off('end', hungUp);
    resolve(reason);
  };
  const hungUp = (): void => finish('the server hung up before TLS began');
  const begin = (): void => {
    heard = Buffer.alloc(0);
    const [turn] = turns;
    if (turn?.send !== undefined) socket.write(turn.send(host));
    if (turn?.verdict === undefined) finish(undefined);
  };
  const hear = (chunk: Buffer): void => {
    heard = Buffer.concat([heard, chunk]);
    const verdict = turns[0]?.verdict?.(heard) ?? 'go on';
    if (verdict === 'refused') return finish(`the server does not begin TLS for ${protocol}`);
    if (verdict === 'wait') return heard.length > maximumBytes ? finish('the server talks without end') : undefined;
    turns.shift();
    begin();
  };
  socket.on('data', hear).on('end', hungUp);
  begin();
  return promise;
}

/** Waits for a line that begins like `wanted`; a whole line that ends the answer and is another refuses. */
function line(wanted: RegExp, last: RegExp = /^/): Verdict {
  return (heard) => {
    const lines = heard.toString('latin1').split('\n').slice(0, -1);
    const end = lines.find((text) => last.test(text));
    if (end === undefined) return 'wait';
    return wanted.test(end) ? 'go on' : 'refused';
  };
}

/** SMTP and FTP end an answer of several lines with `250 `, the others have `250-`. */
const finalReply = /^\d{3}(?: |\r?$)/;

/** RFC 4511, section 4.14: an extended request for 1.3.6.1.4.1.1466.20037, message 1. */
const ldapRequest = Buffer.from('301d02010177188016312e332e362e312e342e312e313436362e3230303337', 'hex');
/** PostgreSQL, "SSLRequest": length 8 and the code 80877103. */
const postgresRequest = Buffer.from('0000000804d2162f', 'hex');
/** MySQL, "Protocol::SSLRequest": 32 bytes, packet 1, capabilities PROTOCOL_41, SSL and SECURE_CONNECTION, utf8mb4. */
const mysqlRequest = Buffer.concat([
  Buffer.from('20000001', 'hex'),
  Buffer.from('008a0000', 'hex'),
  Buffer.from('00000001', 'hex'),
  Buffer.from('2d', 'hex'),
  Buffer.alloc(23),
]);

/** CLIENT_SSL in the lower capabilities, which stand behind the version text, the thread, 8 bytes of salt and a filler. */
function mysqlGreeting(heard: Buffer): ReturnType<Verdict> {
  if (heard.length < 4 || heard.length < 4 + heard.readUIntLE(0, 3)) return 'wait';
  // 0xff begins an error packet, such as "Host is blocked".
  if (heard[4] !== 10) return 'refused';
  const at = heard.indexOf(0, 5) + 1 + 4 + 8 + 1;
  if (at + 2 > heard.length) return 'refused';
  return (heard.readUInt16LE(at) & 0x0800) === 0 ? 'refused' : 'go on';
}

function ldapReply(heard: Buffer): ReturnType<Verdict> {
  if (heard.length < 2 || heard.length < 2 + (heard[1] ?? 0)) return 'wait';
  // resultCode success: ENUMERATED of one byte, 0, as the first member of the ExtendedResponse.
  const at = heard.indexOf(Buffer.from('0a0100', 'hex'));
  return heard[0] === 0x30 && at >= 0 && at < 16 ? 'go on' : 'refused';
}

function xmppFeatures(heard: Buffer): ReturnType<Verdict> {
  const text = heard.toString('latin1');
  if (/urn:ietf:params:xml:ns:xmpp-tls/.test(text)) return 'go on';
  return /<\/stream:features>|<stream:error|<\/stream:stream>/.test(text) ? 'refused' : 'wait';
}

const dialogues: Record<Protocol, readonly Turn[]> = {
  smtp: [
    { verdict: line(/^220/, finalReply) },
    { send: () => 'EHLO lares.invalid\r\n', verdict: line(/^250/, finalReply) },
    { send: () => 'STARTTLS\r\n', verdict: line(/^220/, finalReply) },
  ],
  imap: [
    { verdict: line(/^\* (?:OK|PREAUTH)/i) },
    { send: () => 'a1 STARTTLS\r\n', verdict: line(/^a1 OK/i, /^a1 /i) },
  ],
  pop3: [{ verdict: line(/^\+OK/) }, { send: () => 'STLS\r\n', verdict: line(/^\+OK/) }],
  ftp: [{ verdict: line(/^220/, finalReply) }, { send: () => 'AUTH TLS\r\n', verdict: line(/^234/, finalReply) }],
  sieve: [
    { verdict: line(/^OK/i, /^(?:OK|NO|BYE)/i) },
    { send: () => 'STARTTLS\r\n', verdict: line(/^OK/i, /^(?:OK|NO|BYE)/i) },
  ],
  xmpp: [
    {
      send: (host) =>
        `<?xml version='1.0'?><stream:stream to='${host.replaceAll(/[<>&'"]/g, '')}' version='1.0' ` +
        `xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`,
      verdict: xmppFeatures,
    },
    {
      send: () => `<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`,
      verdict: (heard) => (heard.includes('<proceed') ? 'go on' : heard.includes('<failure') ? 'refused' : 'wait'),
    },
  ],
  ldap: [{ send: () => ldapRequest, verdict: ldapReply }],
  postgres: [{ send: () => postgresRequest, verdict: (heard) => (heard[0] === 0x53 ? 'go on' : 'refused') }],
  mysql: [{ verdict: mysqlGreeting }, { send: () => mysqlRequest }],
};
