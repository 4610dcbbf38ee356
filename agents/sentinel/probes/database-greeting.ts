import { oneLine } from './text.ts';

/** What a database says to a stranger. `waits` is what it says while it starts, stops or recovers. */
export type Greeting =
  | { is: 'takes'; text: string }
  | { is: 'waits' | 'full' | 'refuses'; text: string }
  /** It would talk, but not to this machine. */
  | { is: 'elsewhere'; text: string }
  | { is: 'other'; text: string };

export interface DatabaseProtocol {
  /** Usual port. */
  port: number;
  /** What is sent first; absent where the server speaks first. */
  hello?: Buffer;
  /** What all that came means, after so many answers of ours: undefined while more has to come, or what is to be said. */
  read: (heard: Buffer, answers: number) => Greeting | Buffer | undefined;
}

/** More of a greeting is not read. */
export const maximumGreetingBytes = 65_536;

export const databaseProtocols = {
  postgres: { port: 5_432, hello: startupMessage(), read: readPostgres },
  mysql: { port: 3_306, read: readMysql },
  redis: { port: 6_379, hello: Buffer.from('PING\r\n'), read: readRedis },
} as const satisfies Record<string, DatabaseProtocol>;
export type DatabaseName = keyof typeof databaseProtocols;

/** PostgreSQL, "StartupMessage" of protocol 3.0 for a user that need not exist: it is answered before any login. */
function startupMessage(): Buffer {
  const body = Buffer.concat([Buffer.from('00030000', 'hex'), Buffer.from('user\0lares\0database\0postgres\0\0')]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([length, body]);
}

/** As pg_isready judges: a question for a login, and every error but 57P03, is a server that takes connections. */
function readPostgres(heard: Buffer): Greeting | undefined {
  if (heard.length < 5) return undefined;
  const [type] = heard;
  const length = heard.readUInt32BE(1);
  if (type === 0x52 && length >= 8 && length < 2_000) return { is: 'takes', text: 'it takes connections' };
  if (type !== 0x45 || length > 30_000) return { is: 'other', text: 'it does not speak as PostgreSQL does' };
  if (heard.length < length + 1) return undefined;
  const fields = new Map(
    heard
      .subarray(5, length + 1)
      .toString('utf8')
      .split('\0')
      .filter((field) => field !== '')
      .map((field) => [field.slice(0, 1), field.slice(1)]),
  );
  const text = oneLine(fields.get('M') ?? 'an error without words', 200);
  const code = fields.get('C');
  if (code === '57P03') return { is: 'waits', text };
  if (code === '53300') return { is: 'full', text };
  return { is: 'takes', text: `it takes connections (${text})` };
}

/**
 * MySQL and MariaDB let nobody in any more whose handshakes broke off 100 times (max_connect_errors), so this one is ended: as
 * a user that need not exist, which is refused.
 */
function readMysql(heard: Buffer, answers: number): Greeting | Buffer | undefined {
  const packets = packetsOf(heard);
  if (packets === undefined) return { is: 'other', text: 'it does not speak as MySQL does' };
  const greeting = packets[0];
  if (greeting === undefined) return undefined;
  const judged = mysqlGreeting(greeting);
  if (judged.is !== 'takes') return judged;
  if (answers === 0) return mysqlLogin;
  const last = packets.at(answers);
  if (last === undefined) return undefined;
  // 0xfe asks for another way to log in.
  if (last[0] === 0xfe && answers === 1) return Buffer.from('00000003', 'hex');
  const refusal = last[0] === 0xff && last.length > 3 ? mysqlError(last) : judged;
  return refusal.is === 'refuses' ? judged : refusal;
}

function mysqlGreeting(packet: Buffer): Greeting {
  if (packet[0] === 0x0a) {
    const version = oneLine(packet.subarray(1, packet.indexOf(0, 1)).toString('latin1'), 60);
    return { is: 'takes', text: `it takes connections (${version})` };
  }
  if (packet[0] === 0xff && packet.length > 3) return mysqlError(packet);
  return { is: 'other', text: 'it does not speak as MySQL does' };
}

/** 1040 too many connections; 1129 and 1130: this machine is not let in. */
function mysqlError(packet: Buffer): Greeting {
  const code = packet.readUInt16LE(1);
  const text = oneLine(packet.subarray(3).toString('utf8'), 200);
  if (code === 1_040) return { is: 'full', text };
  return { is: code === 1_129 || code === 1_130 ? 'elsewhere' : 'refuses', text };
}

/** The bodies of whole packets (3 bytes of length, a number); undefined when one is longer than any of a handshake. */
function packetsOf(heard: Buffer): Buffer[] | undefined {
  const packets: Buffer[] = [];
  for (let at = 0; at + 4 <= heard.length;) {
    const length = heard.readUIntLE(at, 3);
    if (length > 4_096) return undefined;
    if (at + 4 + length > heard.length) break;
    packets.push(heard.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return packets;
}

/** "HandshakeResponse41", packet 1: LONG_PASSWORD, PROTOCOL_41, SECURE_CONNECTION and PLUGIN_AUTH, no password. */
const mysqlLogin = ((): Buffer => {
  const flags = Buffer.from('01820800', 'hex');
  const limit = Buffer.from('00000001', 'hex');
  const words = Buffer.from('lares\0\0mysql_native_password\0');
  const body = Buffer.concat([flags, limit, Buffer.from([0x2d]), Buffer.alloc(23), words]);
  const head = Buffer.alloc(4);
  head.writeUIntLE(body.length, 0, 3);
  head[3] = 1;
  return Buffer.concat([head, body]);
})();

/** Redis, Valkey and their like. Whoever needs a password is alive; what it says instead of PONG is why it is not well. */
function readRedis(heard: Buffer): Greeting | undefined {
  const text = heard.toString('latin1');
  const end = text.indexOf('\n');
  if (end < 0) return undefined;
  const line = oneLine(text.slice(1, end), 200);
  if (text.startsWith('+PONG')) return { is: 'takes', text: 'it takes connections' };
  if (/^-(?:NOAUTH|NOPERM)\b/.test(text)) return { is: 'takes', text: 'it takes connections and asks for a password' };
  if (/^-(?:LOADING|BUSY|MASTERDOWN)\b/.test(text)) return { is: 'waits', text: line };
  if (text.startsWith('-ERR max number of clients')) return { is: 'full', text: line };
  if (/^-DENIED\b/.test(text)) return { is: 'elsewhere', text: line };
  if (text.startsWith('-')) return { is: 'refuses', text: line };
  return { is: 'other', text: 'it does not speak as Redis does' };
}
