import type { Client } from 'ssh2';
import type { Clock } from './clock.ts';
import type { CommandEnd, CommandOptions, CommandRunner } from './command.ts';
import type { Log } from './log.ts';
import { commandLineOf } from './shell.ts';
import { Slots } from './slots.ts';
import { type ChannelEnd, runOnChannel } from './ssh-channel.ts';
import { connectSsh, type SshConnected, type SshTarget } from './ssh-connect.ts';

/** One multiplexed connection per target, opened when needed, reused, closed when idle. */
export interface SshPool {
  /** Opens nothing yet. Runners of equal targets share a connection. */
  runner(target: SshTarget): CommandRunner;
  /** Ends all connections; commands that run become `lost`. */
  close(): Promise<void>;
}

/** OpenSSH allows 10 sessions per connection by default (`MaxSessions`); other users of the connection get the rest. */
const channelsPerConnection = 6;
const parallelHandshakes = 20;
const idleMs = 5 * 60_000;
/** OpenSSH counts a session a moment longer than its channel lives: who asks at once is refused, though none is open. */
const channelRetriesMs = [50, 100, 200, 400];
/** OpenSSH 9.8 bans an address for 15 s and longer after failed logins (`PerSourcePenalties`). */
const loginRefusedMs = 15_000;

export function createSshPool(context: { log: Log; clock: Clock }): SshPool {
  const handshakes = new Slots(parallelHandshakes);
  const lines = new Map<string, Line>();
  return {
    runner(target) {
      const key = JSON.stringify([
        target.address,
        target.port,
        target.user,
        target.keyFile ?? '',
        target.hostKeys.toSorted(),
      ]);
      const line = lines.get(key) ?? new Line({ ...context, target, handshakes });
      lines.set(key, line);
      return { run: (argv, options) => line.run(commandLineOf(argv), options) };
    },
    async close() {
      await Promise.all([...lines.values()].map((line) => line.close()));
    },
  };
}

interface Open {
  client: Client;
  slots: Slots;
}

/** The connection to one target and the commands that go over it. */
class Line {
  readonly #context: { log: Log; clock: Clock; target: SshTarget; handshakes: Slots };
  #opening: Promise<SshConnected> | undefined;
  #open: Open | undefined;
  #running = 0;
  #cancelIdle: (() => void) | undefined;
  #refused: { until: number; reason: string } | undefined;
  readonly #ending = new AbortController();

  constructor(context: { log: Log; clock: Clock; target: SshTarget; handshakes: Slots }) {
    this.#context = context;
  }

  async run(line: string, options: CommandOptions): Promise<CommandEnd> {
    this.#running += 1;
    this.#cancelIdle?.();
    try {
      return await this.#run(line, options);
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#cancelIdle = this.#context.clock.after(idleMs, () => this.#hangUp());
    }
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#opening;
    this.#cancelIdle?.();
    this.#hangUp();
  }

  async #run(line: string, options: CommandOptions): Promise<CommandEnd> {
    const retriesMs = channelRetriesMs.values();
    for (;;) {
      const open = await this.#connected(options);
      if (!('client' in open)) return open;
      const end = await this.#onChannel(open, line, options);
      if (end.end !== 'no-channel') return end;
      if (open.slots.held > 0) {
        open.slots.lowerTo(open.slots.held);
        continue;
      }
      const { value: waitMs } = retriesMs.next();
      if (waitMs === undefined) return { end: 'unreachable', reason: end.reason };
      await this.#context.clock.sleep(waitMs, options.signal);
    }
  }

  async #onChannel(open: Open, line: string, options: CommandOptions): Promise<ChannelEnd> {
    const patience = new AbortController();
    const cancel = this.#context.clock.after(options.timeoutMs, () => patience.abort());
    let release: () => void;
    try {
      release = await open.slots.take(AbortSignal.any([options.signal, patience.signal]));
    } catch (error) {
      if (options.signal.aborted || !patience.signal.aborted) throw error;
      return { end: 'unreachable', reason: 'no free channel: too many commands at once' };
    } finally {
      cancel();
    }
    try {
      return await runOnChannel(open.client, line, { ...options, clock: this.#context.clock });
    } finally {
      release();
    }
  }

  async #connected(options: CommandOptions): Promise<Open | { end: 'unreachable'; reason: string }> {
    options.signal.throwIfAborted();
    if (this.#open !== undefined) return this.#open;
    if (this.#ending.signal.aborted) return { end: 'unreachable', reason: 'the connections are being closed' };
    if (this.#refused !== undefined && this.#context.clock.now() < this.#refused.until) {
      return { end: 'unreachable', reason: this.#refused.reason };
    }
    this.#opening ??= this.#connect();
    const connected = await this.#inTime(this.#opening, options);
    if (connected === undefined) return { end: 'unreachable', reason: `no login within ${options.timeoutMs} ms` };
    if (!connected.ok) return { end: 'unreachable', reason: connected.reason };
    return this.#open ?? { end: 'unreachable', reason: 'the connection was closed at once' };
  }

  /** Shared by all who wait for this host; nobody's abort ends it for the others. */
  async #connect(): Promise<SshConnected> {
    const { target, clock, handshakes, log } = this.#context;
    // Only connections that are being made are waited for here, and each of them ends in time.
    const release = await handshakes.take(new AbortController().signal);
    try {
      const connected = await connectSsh(target, { clock, signal: this.#ending.signal });
      if (connected.ok) this.#adopt(connected.client);
      else {
        log.debug({ address: target.address, port: target.port, reason: connected.reason }, 'ssh: not connected');
        if (connected.login) this.#refused = { until: clock.now() + loginRefusedMs, reason: connected.reason };
      }
      return connected;
    } finally {
      release();
      this.#opening = undefined;
    }
  }

  #adopt(client: Client): void {
    const open = { client, slots: new Slots(channelsPerConnection) };
    this.#open = open;
    this.#refused = undefined;
    // A connection that dies later is an ordinary event; whoever runs a command on it is told by `close`.
    client.on('error', () => client.destroy());
    client.on('close', () => {
      if (this.#open === open) this.#open = undefined;
    });
  }

  #hangUp(): void {
    const { client } = this.#open ?? {};
    this.#open = undefined;
    client?.end();
  }

  /** The result, or undefined once the command's own time is up; rejects when its signal aborts. */
  async #inTime<T>(work: Promise<T>, options: CommandOptions): Promise<T | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    const abort = (): void => reject(options.signal.reason as Error);
    const cancel = this.#context.clock.after(options.timeoutMs, () => resolve(undefined));
    options.signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject);
    try {
      return await promise;
    } finally {
      cancel();
      options.signal.removeEventListener('abort', abort);
    }
  }
}
