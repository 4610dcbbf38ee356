import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ServerKeys } from './certificates.ts';

/** A protocol's plain beginning: the greeting, and the reply to each thing that a client says. */
export interface StarttlsFake {
  greeting?: string | Buffer;
  /** In order: what must be said, what is answered. The last answer comes before TLS. */
  turns: [said: RegExp, answer: string | Buffer][];
  /** Bytes of the last thing said, where the handshake follows it without an answer in between. */
  lastBytes?: number;
}

/** As Postfix, Dovecot, vsftpd, Prosody, slapd, PostgreSQL and MariaDB say it; the bytes are from their protocols. */
export const starttlsFakes: Record<string, StarttlsFake> = {
  smtp: {
    greeting: '220-mail.example\r\n220 mail.example ESMTP Postfix\r\n',
    turns: [
      [/^EHLO \S+\r\n$/, '250-mail.example\r\n250-SIZE 10240000\r\n250 STARTTLS\r\n'],
      [/^STARTTLS\r\n$/, '220 2.0.0 Ready to start TLS\r\n'],
    ],
  },
  imap: {
    greeting: '* OK [CAPABILITY IMAP4rev1 STARTTLS] Dovecot ready.\r\n',
    turns: [[/^a1 STARTTLS\r\n$/, '* CAPABILITY IMAP4rev1\r\na1 OK Begin TLS negotiation now.\r\n']],
  },
  pop3: { greeting: '+OK Dovecot ready.\r\n', turns: [[/^STLS\r\n$/, '+OK Begin TLS negotiation now.\r\n']] },
  ftp: { greeting: '220 (vsFTPd 3.0.3)\r\n', turns: [[/^AUTH TLS\r\n$/, '234 Proceed with negotiation.\r\n']] },
  sieve: {
    greeting: '"IMPLEMENTATION" "Dovecot Pigeonhole"\r\n"STARTTLS"\r\nOK "Dovecot ready."\r\n',
    turns: [[/^STARTTLS\r\n$/, 'OK "Begin TLS negotiation now."\r\n']],
  },
  xmpp: {
    turns: [
      [
        /<stream:stream to='mail\.example'/,
        "<?xml version='1.0'?><stream:stream id='1'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>",
      ],
      [/<starttls /, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"],
    ],
  },
  ldap: {
    turns: [[/1\.3\.6\.1\.4\.1\.1466\.20037$/, Buffer.from('300c02010178070a010004000400', 'hex')]],
  },
  postgres: { turns: [[/^[^]{5}\xd2[^]\/$/, 'S']] },
  mysql: {
    // Packet 0, protocol 10, "8.0.36", thread 8, salt, filler, capabilities 0xffff, utf8mb4, status, more capabilities.
    greeting: Buffer.from(
      `4a0000000a382e302e33360008000000${'61'.repeat(8)}00ffffff0200ffdf15${'00'.repeat(10)}${'62'.repeat(12)}00${Buffer.from('caching_sha2_password\0').toString('hex')}`,
      'hex',
    ),
    turns: [[/^ [^]{35}/, '']],
    lastBytes: 36,
  },
};

/** Talks as told, then changes to TLS with these keys. What is said otherwise ends the connection. */
export function serveStarttls(socket: Socket, fake: StarttlsFake, keys: ServerKeys): void {
  const turns = [...fake.turns];
  if (fake.greeting !== undefined) socket.write(fake.greeting);
  const hear = (chunk: Buffer): void => {
    const [turn] = turns;
    const said = chunk.toString('latin1');
    if (turn === undefined || !turn[0].test(said)) {
      socket.destroy();
      return;
    }
    turns.shift();
    socket.write(turn[1]);
    if (turns.length > 0) return;
    socket.off('data', hear);
    socket.pause();
    if (fake.lastBytes !== undefined && chunk.length > fake.lastBytes) socket.unshift(chunk.subarray(fake.lastBytes));
    secure(socket, keys);
  };
  socket.on('data', hear);
}

function secure(socket: Socket, keys: ServerKeys): void {
  const secured = new TLSSocket(socket, { isServer: true, ...keys });
  secured.on('error', () => socket.destroy());
}
