import type { Client, ClientChannel } from 'ssh2';
import { messageOf } from '#bus/failure.ts';
import { type BoundedOutput, BoundedStreams } from './bounded-output.ts';
import type { Clock } from './clock.ts';
import type { CommandEnd, CommandOptions } from './command.ts';
import { signalName } from './signal-name.ts';

/** How long output may go on coming after the exit status: a child in the background may hold the stream for ever. */
const drainMs = 2_000;

export type ChannelEnd =
  | CommandEnd
  /** The server allows no further channel on this connection (`MaxSessions`); the command never started. */
  | { end: 'no-channel'; reason: string };

/** One command line on one channel of a connection. Rejects only with the reason of the signal. */
export async function runOnChannel(
  client: Client,
  line: string,
  options: CommandOptions & { clock: Clock },
): Promise<ChannelEnd> {
  options.signal.throwIfAborted();
  const channel = new RunningChannel(client, options);
  try {
    channel.start(line);
    return await channel.done;
  } finally {
    channel.release();
  }
}

class RunningChannel {
  readonly #client: Client;
  readonly #options: CommandOptions & { clock: Clock };
  readonly #settled = Promise.withResolvers<ChannelEnd>();
  readonly #streams: BoundedStreams;
  #stream: ClientChannel | undefined;
  #exit: { code: number } | { signal: string } | undefined;
  #cancelTimeout: () => void;
  #cancelDrain: (() => void) | undefined;

  constructor(client: Client, options: CommandOptions & { clock: Clock }) {
    this.#client = client;
    this.#options = options;
    this.#streams = new BoundedStreams(options.maximumOutputBytes);
    this.#cancelTimeout = options.clock.after(options.timeoutMs, () => {
      this.#settled.resolve({ end: 'timed-out', afterMs: options.timeoutMs, output: this.#streams.output });
    });
    options.signal.addEventListener('abort', this.#abort, { once: true });
    client.on('close', this.#lost);
  }

  get done(): Promise<ChannelEnd> {
    return this.#settled.promise;
  }

  start(line: string): void {
    try {
      this.#client.exec(line, (error, stream) => {
        if (error === undefined) this.#follow(stream);
        else this.#refused(error);
      });
    } catch (error) {
      // ssh2 throws when the socket is closed already, before anything was sent.
      this.#settled.resolve({ end: 'unreachable', reason: messageOf(error) });
    }
  }

  release(): void {
    this.#cancelTimeout();
    this.#cancelDrain?.();
    this.#options.signal.removeEventListener('abort', this.#abort);
    this.#client.off('close', this.#lost);
    this.#stream?.close();
  }

  readonly #abort = (): void => this.#settled.reject(this.#options.signal.reason as Error);

  readonly #lost = (): void => {
    this.#settled.resolve(this.#exitEnd() ?? this.#lostEnd('the connection was closed'));
  };

  #follow(stream: ClientChannel): void {
    this.#stream = stream;
    // Also when it was given up on meanwhile: an unread stream would stall the other channels of the connection.
    stream.on('data', (chunk: Buffer) => this.#take(this.#streams.stdout, chunk));
    stream.stderr.on('data', (chunk: Buffer) => this.#take(this.#streams.stderr, chunk));
    stream.on('error', (error: Error) => this.#settled.resolve(this.#lostEnd(error.message)));
    stream.on('exit', (code: number | null, signal?: string) => {
      this.#exit = code === null ? { signal: signalName(signal) } : { code };
      this.#drain();
    });
    stream.on('close', () => {
      this.#settled.resolve(this.#exitEnd() ?? this.#lostEnd('the channel was closed without an exit status'));
    });
    stream.end();
  }

  #take(output: BoundedOutput, chunk: Buffer): void {
    output.push(chunk);
    if (this.#exit !== undefined) this.#drain();
  }

  #drain(): void {
    this.#cancelDrain?.();
    this.#cancelDrain = this.#options.clock.after(drainMs, () => {
      const end = this.#exitEnd();
      if (end !== undefined) this.#settled.resolve(end);
    });
  }

  #refused(error: Error): void {
    // Only an open failure carries the server's numeric reason (RFC 4254 5.1); the exec request was not sent then.
    if ('reason' in error && typeof error.reason === 'number') {
      this.#settled.resolve({ end: 'no-channel', reason: error.message });
    } else this.#settled.resolve(this.#lostEnd(error.message));
  }

  #exitEnd(): CommandEnd | undefined {
    if (this.#exit === undefined) return undefined;
    return 'code' in this.#exit
      ? { end: 'exited', code: this.#exit.code, output: this.#streams.output }
      : { end: 'killed', signal: this.#exit.signal, output: this.#streams.output };
  }

  #lostEnd(reason: string): CommandEnd {
    return { end: 'lost', reason, output: this.#streams.output };
  }
}
