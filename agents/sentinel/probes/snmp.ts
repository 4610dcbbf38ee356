import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Session, User, Varbind } from 'net-snmp';
import { messageOf } from '#bus/failure.ts';
import { formatDuration } from '#config/duration.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import type { Endpoint } from './endpoint.ts';
import { classifyNetworkError } from './network-error.ts';
import { oneLine } from './text.ts';
import { withinTime } from './within-time.ts';

export const authProtocols = ['md5', 'sha', 'sha224', 'sha256', 'sha384', 'sha512'] as const;
export const privacyProtocols = ['des', 'aes', 'aes256b', 'aes256r'] as const;

export type SnmpLogin =
  | { version: '2c'; community: string }
  | {
      version: '3';
      user: string;
      auth?: { protocol: (typeof authProtocols)[number]; password: string };
      privacy?: { protocol: (typeof privacyProtocols)[number]; password: string };
    };

/** `absent`: the agent has no such object. Counters and times are numbers, all else a bounded text. */
export type SnmpValue = { is: 'number'; value: number } | { is: 'text'; value: string } | { is: 'absent' };

/** Reads from one agent. Contract: rejects with the library's error, which `askSnmp` puts into words. */
export interface SnmpReader {
  get(oids: readonly string[]): Promise<Map<string, SnmpValue>>;
  /** The rows of some columns below an OID, by the rest of their OID; at most `maximumRows`. */
  columns(oids: readonly string[]): Promise<Map<string, Map<string, SnmpValue>>>;
}

export type SnmpEnd<T> =
  | { is: 'done'; value: T }
  /** Down, or a community that it does not know: SNMP v2c never refuses. */
  | { is: 'silent'; reason: string }
  /** It answered that it does not take the login, or something that cannot be read. */
  | { is: 'refused'; reason: string }
  | { is: 'unable'; reason: string };

const perRequest = 20;
const maximumRows = 500;
/** Rows that the agent is asked for at a time: what fits into one datagram. */
const repetitions = 15;
const tries = 3;

/** Holds one conversation with an agent and closes its socket. */
export async function askSnmp<T>(
  of: { server: Endpoint; login: SnmpLogin; giveUpAfterMs: number },
  context: CheckContext,
  read: (reader: SnmpReader) => Promise<T>,
): Promise<SnmpEnd<T>> {
  try {
    const end = await withinTime({ ms: of.giveUpAfterMs, context }, async (signal) => {
      const session = await open(of, signal);
      return read(readerOf(session));
    });
    if (end.is === 'done') return { is: 'done', value: end.value };
    return { is: 'silent', reason: `no answer within ${formatDuration(of.giveUpAfterMs)}` };
  } catch (error) {
    context.signal.throwIfAborted();
    return failureOf(error);
  }
}

function failureOf(error: unknown): Exclude<SnmpEnd<never>, { is: 'done' }> {
  const name = error instanceof Error ? error.name : '';
  if (name === 'RequestTimedOutError') return { is: 'silent', reason: 'no answer' };
  if (name.startsWith('Response') || name.startsWith('Request')) {
    // "Wrong Digest", "Unknown User Name": the counters of RFC 3414 that an agent reports.
    return { is: 'refused', reason: oneLine(`it answered "${messageOf(error)}"`, 200) };
  }
  const { cause, text } = classifyNetworkError(error);
  return { is: cause === 'ours' ? 'unable' : 'silent', reason: text };
}

async function open(
  of: { server: Endpoint; login: SnmpLogin; giveUpAfterMs: number },
  signal: AbortSignal,
): Promise<Session> {
  const snmp = await import('net-snmp');
  const { server, login } = of;
  const at = isIP(server.address) === 0 ? await lookup(server.address) : undefined;
  signal.throwIfAborted();
  const options = {
    port: server.port,
    transport: (at?.family ?? isIP(server.address)) === 6 ? ('udp6' as const) : ('udp4' as const),
    retries: tries - 1,
    timeout: Math.max(100, of.giveUpAfterMs / (tries + 1)),
    backoff: 1,
    idBitsSize: 32,
  };
  const address = at?.address ?? server.address;
  const session =
    login.version === '2c'
      ? snmp.createSession(address, login.community, { ...options, version: snmp.Version2c })
      : snmp.createV3Session(address, userOf(login, snmp), { ...options, version: snmp.Version3 });
  // What cannot be decoded is dropped, as what is lost is; the request's own timeout tells of both.
  session.on('error', () => undefined);
  signal.addEventListener('abort', () => session.close(), { once: true });
  return session;
}

type Library = typeof import('net-snmp');

function userOf(login: Extract<SnmpLogin, { version: '3' }>, snmp: Library): User {
  const { user: name, auth, privacy } = login;
  if (auth === undefined) return { name, level: snmp.SecurityLevel.noAuthNoPriv };
  const proved = { name, authProtocol: snmp.AuthProtocols[auth.protocol], authKey: auth.password };
  if (privacy === undefined) return { ...proved, level: snmp.SecurityLevel.authNoPriv };
  return {
    ...proved,
    level: snmp.SecurityLevel.authPriv,
    privProtocol: snmp.PrivProtocols[privacy.protocol],
    privKey: privacy.password,
  };
}

function readerOf(session: Session): SnmpReader {
  return {
    async get(oids) {
      const values = new Map<string, SnmpValue>();
      for (let from = 0; from < oids.length; from += perRequest) {
        for (const varbind of await getOnce(session, oids.slice(from, from + perRequest))) {
          values.set(varbind.oid, valueOf(varbind));
        }
      }
      return values;
    },
    async columns(oids) {
      const found = new Map<string, Map<string, SnmpValue>>();
      for (const oid of oids) found.set(oid, await walkColumn(session, oid));
      return found;
    },
  };
}

function getOnce(session: Session, oids: string[]): Promise<Varbind[]> {
  return new Promise((resolve, reject) => {
    session.get(oids, (error, varbinds) => (error === null ? resolve(varbinds ?? []) : reject(error)));
  });
}

function walkColumn(session: Session, oid: string): Promise<Map<string, SnmpValue>> {
  const rows = new Map<string, SnmpValue>();
  return new Promise((resolve, reject) => {
    const feed = (varbinds: Varbind[]): boolean => {
      for (const varbind of varbinds) rows.set(varbind.oid.slice(oid.length + 1), valueOf(varbind));
      // A true ends the walk.
      return rows.size >= maximumRows;
    };
    session.subtree(oid, repetitions, feed as (varbinds: Varbind[]) => void, (error) =>
      error === null || error === undefined ? resolve(rows) : reject(error),
    );
  });
}

/** Types 128 to 130 are the exceptions of v2 (RFC 3416): no such object, no such instance, end of the view. */
export function valueOf({ type, value }: { type?: number | undefined; value?: unknown }): SnmpValue {
  if ((type !== undefined && type >= 128) || value === null || value === undefined) return { is: 'absent' };
  if (typeof value === 'number') return { is: 'number', value };
  if (typeof value === 'bigint') return { is: 'number', value: Number(value) };
  if (!Buffer.isBuffer(value))
    return { is: 'text', value: oneLine(typeof value === 'string' ? value : JSON.stringify(value), 300) };
  // Counter64 comes as its bytes, without leading zeros.
  if (type === 70) return { is: 'number', value: Number(BigInt(`0x${value.toString('hex') || '0'}`)) };
  return { is: 'text', value: oneLine(value.toString('utf8'), 300) };
}

export function numberIn(values: ReadonlyMap<string, SnmpValue>, oid: string): number | undefined {
  const value = values.get(oid);
  return value?.is === 'number' ? value.value : undefined;
}

export function textIn(values: ReadonlyMap<string, SnmpValue>, oid: string): string | undefined {
  const value = values.get(oid);
  return value === undefined || value.is === 'absent' ? undefined : String(value.value);
}
