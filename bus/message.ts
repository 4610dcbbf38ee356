import { z } from 'zod';
import { Failure } from './failure.ts';
import { Ident } from './fields.ts';

/** Who may be on the bus. `console` is a person's command line or web console. */
export const AgentName = z.enum(['sentinel', 'triage', 'remediation', 'console']);
export type AgentName = z.output<typeof AgentName>;

/** No message may be larger on the wire; evidence and output are cut long before. */
export const maximumMessageBytes = 262_144;

/**
 * One kind of message: schema, topic, identity, retention and who may write it. The broker's access list, the decoder
 * and the documentation are all derived from it.
 */
export interface MessageKind<P extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  /** Travels in every payload, for example `lares.finding/1`. */
  readonly schemaId: string;
  readonly payload: P;
  /** Topic filter below `lares/<site>/`, with one `+` where the identity stands, or none. */
  readonly filter: string;
  /** What stands at the `+`; empty when the filter has none. */
  readonly identify: (payload: z.output<P>) => string;
  /** Retained: the topic holds the present state of its identity and is cleared when that ends. */
  readonly retained: boolean;
  readonly writers: readonly AgentName[];
}

export type PayloadOf<K> = K extends MessageKind<infer P> ? z.output<P> : never;

/** Defines a message kind; the file that calls it exports the kind in lower case and its payload in upper case. */
export function defineMessage<P extends z.ZodObject>(options: {
  name: string;
  version: number;
  payload: P;
  filter: string;
  identify: (payload: z.output<P>) => string;
  retained: boolean;
  writers: readonly AgentName[];
}): MessageKind<P> {
  const { version, ...kind } = options;
  return { ...kind, schemaId: `lares.${options.name}/${version}` };
}

/** The topic prefix of a site; everything Lares says is below it. */
export function prefixOf(site: string): string {
  return `lares/${site}`;
}

/** The full topic of one identity. Throws a Failure for an identity that would leave its topic level. */
export function topicOf(site: string, kind: MessageKind, id: string): string {
  if (!kind.filter.includes('+')) return `${prefixOf(site)}/${kind.filter}`;
  if (!Ident.safeParse(id).success) {
    throw new Failure(`Cannot name a topic of "${kind.name}": "${id.slice(0, 80)}" is not one topic level`, {
      recoverable: false,
    });
  }
  // A function, because `$&` and its like mean something in a replacement text.
  return `${prefixOf(site)}/${kind.filter.replace('+', () => id)}`;
}

/** The full topic filter of a kind. */
export function filterOf(site: string, kind: MessageKind): string {
  return `${prefixOf(site)}/${kind.filter}`;
}

/** The identity in a full topic, or undefined when the topic is not of this kind. */
export function identityIn(site: string, kind: MessageKind, topic: string): string | undefined {
  const prefix = `${prefixOf(site)}/`;
  if (!topic.startsWith(prefix)) return undefined;
  const have = topic.slice(prefix.length).split('/');
  const want = kind.filter.split('/');
  if (have.length !== want.length) return undefined;
  let identity = '';
  for (const [index, level] of want.entries()) {
    const actual = have[index] ?? '';
    if (level === '+') identity = actual;
    else if (level !== actual) return undefined;
  }
  return identity;
}

/** Payload to bytes. Validates first: what Lares sends, Lares can read. Throws a Failure when it could not be read. */
export function encode<P extends z.ZodObject>(kind: MessageKind<P>, payload: z.input<P>): Buffer {
  const parsed = kind.payload.safeParse(payload);
  if (!parsed.success) {
    throw new Failure(`Cannot send a "${kind.name}": ${z.prettifyError(parsed.error)}`, { recoverable: false });
  }
  const bytes = Buffer.from(JSON.stringify({ schema: kind.schemaId, ...parsed.data }));
  if (bytes.length > maximumMessageBytes) {
    throw new Failure(`Cannot send a "${kind.name}": ${bytes.length} bytes are more than ${maximumMessageBytes}`, {
      recoverable: false,
    });
  }
  return bytes;
}

type Decoded<P> = { ok: true; payload: P } | { ok: false; reason: string };

/** Bytes to payload, or the reason why not. Never throws. */
export function decode<P extends z.ZodObject>(kind: MessageKind<P>, bytes: Uint8Array): Decoded<z.output<P>> {
  if (bytes.length > maximumMessageBytes) return { ok: false, reason: `larger than ${maximumMessageBytes} bytes` };
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return { ok: false, reason: 'not JSON' };
  }
  const schema = value !== null && typeof value === 'object' && 'schema' in value ? value.schema : undefined;
  if (schema !== kind.schemaId) return { ok: false, reason: `schema is not "${kind.schemaId}"` };
  const parsed = kind.payload.safeParse(value);
  return parsed.success
    ? { ok: true, payload: parsed.data }
    : { ok: false, reason: z.prettifyError(parsed.error).slice(0, 500) };
}
