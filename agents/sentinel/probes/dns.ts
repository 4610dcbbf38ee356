import { randomInt } from 'node:crypto';
import type { DecodedPacket, Packet, RecordType } from 'dns-packet';
import { formatDuration } from '#config/duration.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { exchangeDatagrams } from './datagrams.ts';
import { type DnsTls, exchangeStream } from './dns-stream.ts';
import type { Endpoint } from './endpoint.ts';
import { classifyNetworkError } from './network-error.ts';
import type { PeerShown } from './peer-shown.ts';
import { oneLine } from './text.ts';
import { checkReply, signQuery, type TsigEnd, type TsigKey } from './tsig.ts';
import { withinTime } from './within-time.ts';

type DnsTransport = 'udp' | 'tcp' | 'tls';

export interface DnsQuestion {
  server: Endpoint;
  transport: DnsTransport;
  tls?: DnsTls;
  /** Signs the question, and judges the signature of the answer. */
  key?: TsigKey;
  name: string;
  type: RecordType;
  /** Whether the server may ask others for the answer. */
  recursion: boolean;
  giveUpAfterMs: number;
}

/** A decoded answer. The library names the response code although its types do not. */
export type DnsMessage = DecodedPacket & { rcode: string };

export type DnsEnd =
  | {
      is: 'answered';
      message: DnsMessage;
      ms: number;
      over: DnsTransport;
      certificate?: PeerShown;
      /** Of a question with a key. */
      signature?: TsigEnd;
    }
  /** Nobody answered there. */
  | { is: 'silent'; reason: string }
  /** Something answered, and not as a DNS server does. */
  | { is: 'unreadable'; reason: string }
  /** This machine could not ask. */
  | { is: 'unable'; reason: string };

interface Exchange {
  reply: Buffer;
  over: DnsTransport;
  certificate?: PeerShown;
}

/** A lost datagram costs a third of the time, not the look. */
const datagramTries = 3;

/** Asks one server one question. Contract: never throws but for the signal's reason; its sockets are closed when it ends. */
export async function askDns(question: DnsQuestion, context: CheckContext): Promise<DnsEnd> {
  const { encode } = await import('dns-packet');
  // Together with the fresh socket's random port it is what an answer forged from afar must guess.
  const id = randomInt(0x1_0000);
  const plain = encode(packetOf(question, id));
  const startedAt = context.clock.now();
  const { key } = question;
  const { signed: query, mac } = key === undefined ? { signed: plain } : signQuery(plain, key, startedAt);
  try {
    const end = await withinTime({ ms: question.giveUpAfterMs, context }, (signal) =>
      exchange({ question, query, id }, { signal, clock: context.clock }),
    );
    if (end.is === 'late')
      return { is: 'silent', reason: `no answer within ${formatDuration(question.giveUpAfterMs)}` };
    const { reply, over, certificate } = end.value;
    const message = await decoded(reply, { question, id });
    if (typeof message === 'string') return { is: 'unreadable', reason: message };
    const nowMs = context.clock.now();
    return {
      is: 'answered',
      message,
      ms: nowMs - startedAt,
      over,
      ...(certificate !== undefined && { certificate }),
      ...(key !== undefined && mac !== undefined && { signature: checkReply(reply, { key, mac, nowMs }) }),
    };
  } catch (error) {
    context.signal.throwIfAborted();
    const { cause, text } = classifyNetworkError(error);
    return { is: cause === 'ours' ? 'unable' : 'silent', reason: text };
  }
}

interface Query {
  question: DnsQuestion;
  query: Buffer;
  id: number;
}

interface Surroundings {
  signal: AbortSignal;
  clock: CheckContext['clock'];
}

async function exchange(of: Query, { signal, clock }: Surroundings): Promise<Exchange> {
  const { server, transport, tls } = of.question;
  if (transport === 'udp') {
    const reply = await exchangeDatagrams<Buffer | 'truncated'>(
      {
        server,
        make: () => of.query,
        read: (datagram) => {
          if (datagram.length < 12 || datagram.readUInt16BE(0) !== of.id) return undefined;
          return (datagram.readUInt8(2) & 0x02) === 0 ? datagram : 'truncated';
        },
        tries: datagramTries,
        everyMs: of.question.giveUpAfterMs / datagramTries,
      },
      { signal, clock },
    );
    if (reply !== 'truncated') return { reply, over: 'udp' };
  }
  const streamed = await exchangeStream(
    { server, query: of.query, ...(transport === 'tls' && { tls: tls ?? { name: server.address } }) },
    signal,
  );
  return { ...streamed, over: transport === 'tls' ? 'tls' : 'tcp' };
}

function packetOf({ name, type, recursion }: DnsQuestion, id: number): Packet {
  // Bits 0x100 and 0x20: recursion desired, and tell me whether you validated it (RFC 6840, section 5.7).
  return { type: 'query', id, flags: recursion ? 0x120 : 0x20, questions: [{ type, name, class: 'IN' }] };
}

/** The answer to this question, or in words why it is none. */
async function decoded(reply: Buffer, of: { question: DnsQuestion; id: number }): Promise<DnsMessage | string> {
  const { decode } = await import('dns-packet');
  let message: DnsMessage;
  try {
    message = decode(reply) as DnsMessage;
  } catch (error) {
    return `its answer is not DNS: ${oneLine(error instanceof Error ? error.message : '', 100)}`;
  }
  if (!message.flag_qr || message.id !== of.id) return 'its answer is not to the question';
  const [asked] = message.questions ?? [];
  // A refusal may leave out the question (RFC 5936, section 2.2.2 for transfers).
  if (asked !== undefined && (asked.type !== of.question.type || bareName(asked.name) !== bareName(of.question.name))) {
    return `its answer is to another question: ${oneLine(`${asked.name} ${asked.type}`, 120)}`;
  }
  return message;
}

/** Names compare without case and without the last dot. */
export function bareName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
