import { resolveSecret } from '#config/secrets.ts';
import type { SecretRef } from '#config/secret-ref.ts';
import type { AgentContext } from '#agents/runtime/agent.ts';
import { type Complaint, Complaints } from './complaints.ts';
import { readToken } from './credentials.ts';
import { openDoor } from './door.ts';
import type { Foreign } from './foreign.ts';
import { type Delivered, Receiver } from './receiver.ts';
import type { Source } from './source.ts';
import type { Subscriber } from './subscriber.ts';

/** How it went with one source. */
export interface Visits {
  name: string;
  kind: string;
  /** Alerts that it reports now. */
  open: number;
  taken: Delivered | undefined;
  complaint: Complaint | undefined;
}

/** Where others report what they found: over HTTP, and from brokers. */
export interface Reception {
  /** What came from each source since the start. */
  visits(): Visits[];
  stop(): Promise<void>;
}

/**
 * Opens the doors of all configured sources. Throws a Failure when a token or a password cannot be read. Routes are added
 * before the listener listens.
 */
export async function openReception(
  context: AgentContext,
  of: { foreign: Foreign; sources: readonly Source[] },
): Promise<Reception> {
  const { http, config, clock, log, metrics, baseFolder } = context;
  const { foreign, sources } = of;
  if (sources.length === 0) return { visits: () => [], stop: () => Promise.resolve() };
  const secret = (ref: SecretRef): string => resolveSecret(ref, baseFolder);
  const complaints = new Complaints(log, clock);
  const receiver = new Receiver({ foreign, clock, metrics, complaints, secret });
  const tokens = new Map<string, string>();
  for (const { name, config: intake } of sources) {
    if (intake.token !== undefined) tokens.set(name, readToken(name, intake.token, secret));
  }
  openDoor({ http, receiver, sources, tokens, address: config.http.address, clock, complaints });
  const subscribers = await subscribe(context, { ...of, receiver, complaints, secret });
  return {
    visits: () =>
      sources.map(({ name, kind }) => ({
        name,
        kind,
        open: foreign.openOf(name).length,
        taken: receiver.lastOf(name),
        complaint: complaints.lastOf(name),
      })),
    async stop() {
      await Promise.all(subscribers.map((subscriber) => subscriber.stop()));
    },
  };
}

async function subscribe(
  context: AgentContext,
  of: {
    foreign: Foreign;
    sources: readonly Source[];
    receiver: Receiver;
    complaints: Complaints;
    secret: (ref: SecretRef) => string;
  },
): Promise<Subscriber[]> {
  const wanted = of.sources.filter(({ definition }) => definition.subscription !== undefined);
  if (wanted.length === 0) return [];
  const { startSubscriber } = await import('./subscriber.ts');
  const { clock, log, config, baseFolder } = context;
  return wanted.map((source) => startSubscriber(source, { ...of, clock, log, config, baseFolder }));
}
