import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { Bus, Listener } from './bus.ts';
import { Failure } from './failure.ts';
import { Inbox } from './inbox.ts';
import { type Link, type LinkEnd, openLink, type Protocol } from './link.ts';
import type { BusLog } from './log.ts';
import { type AgentName, encode, filterOf, type MessageKind, topicOf } from './message.ts';
import { type AgentState, agentState } from './messages/agent-state.ts';
import { rejected } from './messages/rejected.ts';
import { Outbox } from './outbox.ts';
import { createBackoff, createPace } from './pace.ts';
import { Questions } from './questions.ts';

interface BusOptions {
  url: string;
  agent: AgentName;
  site: string;
  version: string;
  username?: string;
  password?: string;
  /** PEM text of the authority that signed the broker's certificate. */
  ca?: string;
  /** Tells two processes of one agent apart. A stable one keeps its session at the broker. */
  clientIdSuffix?: string;
  log: BusLog;
}

/** Connects in the background and for ever; `ready` waits for it. */
export function connectBus(options: BusOptions): Bus {
  return new MqttBus(options);
}

/** Garbage must not amplify: at most so many refusals a second are told on the bus. */
const refusalsPerSecond = 10;
/** How long messages of an old session wait for an agent that adds its listeners while it starts. */
const parkedMs = 30_000;
const closeTimeoutMs = 3_000;

class MqttBus implements Bus {
  readonly agent: AgentName;
  readonly site: string;
  readonly #options: BusOptions;
  readonly #log: BusLog;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #questions: Questions;
  readonly #backoff = createBackoff();
  readonly #refusals = createPace(refusalsPerSecond);
  readonly #instance = randomUUID();
  readonly #connectListeners: (() => void)[] = [];
  readonly #granting = new Set<Promise<void>>();
  #waiters: (() => void)[] = [];
  #protocol: Protocol = 5;
  #protocolSwitched = false;
  #link: Link | undefined;
  #linked = false;
  #up = false;
  #timer: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;
  readonly #gone = new AbortController();

  constructor(options: BusOptions) {
    this.#options = options;
    this.agent = options.agent;
    this.site = options.site;
    this.#log = options.log;
    this.#inbox = new Inbox({
      site: options.site,
      log: options.log,
      refuse: (kind, topic, refusal) => this.#refuse(kind, topic, refusal),
    });
    this.#outbox = new Outbox(options.log);
    this.#questions = new Questions(this, options.log);
    this.#open();
  }

  get connected(): boolean {
    return this.#linked;
  }

  publish<P extends z.ZodObject>(kind: MessageKind<P>, payload: z.input<P>): void {
    const bytes = encode(kind, payload);
    // What was encoded could be parsed, so its identity can be read from what was given.
    const topic = topicOf(this.site, kind, kind.identify(payload as z.output<P>));
    this.#outbox.send({ topic, payload: bytes, retain: kind.retained });
  }

  clear(kind: MessageKind, id: string): void {
    this.#outbox.clear(topicOf(this.site, kind, id));
  }

  subscribe<P extends z.ZodObject>(
    kind: MessageKind<P>,
    listener: Listener<MessageKind<P>>,
    { together }: { together?: boolean } = {},
  ): void {
    if (this.#inbox.add(kind, { message: listener, together })) this.#grant(filterOf(this.site, kind));
  }

  onClear(kind: MessageKind, listener: (id: string) => void | Promise<void>): void {
    if (this.#inbox.add(kind, { clear: listener })) this.#grant(filterOf(this.site, kind));
  }

  onConnect(listener: () => void): void {
    this.#connectListeners.push(listener);
    if (this.#up) queueMicrotask(() => this.#tell(listener));
  }

  request(verb: string, data: Record<string, unknown>, signal: AbortSignal): Promise<Record<string, unknown>> {
    return this.#questions.ask(verb, data, signal);
  }

  serve(
    verb: string,
    handler: (data: Record<string, unknown>, from: AgentName) => Promise<Record<string, unknown>>,
  ): void {
    this.#questions.serve(verb, handler);
  }

  async ready(signal: AbortSignal): Promise<void> {
    while (!this.#up || this.#granting.size > 0) {
      await untilAborted(signal, (resolve) => {
        if (this.#up) void Promise.all(this.#granting).then(resolve);
        else this.#waiters.push(resolve);
      });
    }
  }

  flush(signal: AbortSignal): Promise<void> {
    return untilAborted(signal, (resolve) => this.#outbox.whenEmpty(resolve));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    const deadline = AbortSignal.timeout(closeTimeoutMs);
    await Promise.race([this.#inbox.close(), untilAborted(deadline, () => undefined).catch(() => undefined)]);
    if (this.#linked) {
      this.publish(agentState, this.#state('offline'));
      await this.flush(AbortSignal.any([deadline, this.#gone.signal])).catch(() => {
        this.#log.warn({}, 'The bus closes before everything was acknowledged');
      });
    }
    await this.#link?.close();
  }

  #open(): void {
    const { url, username, password, ca } = this.#options;
    const will = {
      topic: topicOf(this.site, agentState, this.agent),
      payload: encode(agentState, this.#state('offline')),
    };
    const link: Link = openLink(
      {
        url,
        will,
        clientId: clientIdOf(this.#options, this.#instance),
        // A person's console owes nothing to the past; an agent's session waits for it at the broker.
        clean: this.agent === 'console',
        protocol: this.#protocol,
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password }),
        ...(ca !== undefined && { ca }),
      },
      {
        up: () => void this.#linkUp(link),
        arrive: (arrival) => this.#inbox.arrive(arrival),
        ended: (end) => this.#linkEnded(end),
      },
    );
    this.#link = link;
  }

  async #linkUp(link: Link): Promise<void> {
    this.#linked = true;
    this.#protocolSwitched = false;
    this.#log.info({ url: withoutLogin(this.#options.url), protocol: this.#protocol }, 'The bus is connected');
    this.#timer = setTimeout(() => this.#dropParked(link), parkedMs);
    // Online first and through the outbox: a message that is on its way when the connection breaks is sent again.
    this.#outbox.opened(link);
    this.publish(agentState, this.#state('online'));
    await Promise.all(this.#inbox.filters.map((filter) => this.#subscribe(link, filter)));
    if (this.#link !== link || !this.#linked) return;
    this.#up = true;
    for (const listener of this.#connectListeners) this.#tell(listener);
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  #linkEnded(end: LinkEnd): void {
    this.#linked = false;
    this.#up = false;
    this.#link = undefined;
    this.#outbox.lost();
    this.#inbox.forgetParked();
    clearTimeout(this.#timer);
    if (this.#closed !== undefined) return this.#gone.abort();
    if (end.end === 'wrong-protocol' && !this.#protocolSwitched) {
      this.#protocol = this.#protocol === 5 ? 4 : 5;
      this.#protocolSwitched = true;
      this.#timer = setTimeout(() => this.#open(), 0);
      return;
    }
    const delayMs = Math.round(this.#backoff.after({ upMs: end.end === 'closed' ? end.upMs : 0 }));
    const reason = end.end === 'closed' ? end.reason : 'the broker speaks no protocol that Lares speaks';
    this.#log.warn(
      { url: withoutLogin(this.#options.url), reason, delayMs },
      'The bus is not connected; it tries again',
    );
    this.#timer = setTimeout(() => this.#open(), delayMs);
  }

  #grant(filter: string): void {
    const link = this.#link;
    if (link === undefined || !this.#linked) return;
    const granting = this.#subscribe(link, filter).finally(() => this.#granting.delete(granting));
    this.#granting.add(granting);
  }

  async #subscribe(link: Link, filter: string): Promise<void> {
    try {
      if (!(await link.subscribe(filter))) this.#log.error({ filter }, 'The broker refuses a subscription');
    } catch {
      this.#log.debug({ filter }, 'The connection ended before a subscription was granted');
    }
  }

  #dropParked(link: Link): void {
    for (const topic of this.#inbox.dropParked()) {
      this.#log.info({ topic }, 'Nobody listens to this topic of the session; it is unsubscribed');
      link.unsubscribe(topic);
    }
  }

  #refuse(kind: MessageKind, topic: string, refusal: { reason: string; bytes: number }): void {
    if (!this.#refusals.admits()) return;
    this.#log.warn({ topic: topic.slice(0, 300), ...refusal }, 'A message was refused');
    if (kind.name === rejected.name) return;
    this.publish(rejected, {
      by: this.agent,
      topic: topic.slice(0, 300),
      reason: refusal.reason.slice(0, 600),
      bytes: refusal.bytes,
      at: new Date().toISOString(),
    });
  }

  #tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#log.error({ err: error }, 'A connect listener failed');
    }
  }

  #state(state: AgentState['state']): AgentState {
    const version = this.#options.version.slice(0, 40);
    return { agent: this.agent, state, version, instance: this.#instance, since: new Date().toISOString() };
  }
}

/** An agent is there once, and its id finds its session again. Consoles are many: one id would make them evict each other. */
function clientIdOf({ agent, site, clientIdSuffix }: BusOptions, instance: string): string {
  const suffix = clientIdSuffix ?? (agent === 'console' ? instance.slice(0, 8) : undefined);
  return ['lares', site, agent, suffix].filter((part) => part !== undefined).join('-');
}

function withoutLogin(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}

async function untilAborted(signal: AbortSignal, wait: (resolve: () => void) => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      reject(new Failure('Cannot wait for the bus any longer', { recoverable: true, cause: signal.reason }));
    };
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    wait(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
  });
}
