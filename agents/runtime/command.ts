/** How a command ended, locally or over SSH. A value in every case: a host that does not answer is an outcome. */
export type CommandEnd =
  | { end: 'exited'; code: number; output: CommandOutput }
  | { end: 'killed'; signal: string; output: CommandOutput }
  /** Its own time was up. Whether anything of it still runs is another question. */
  | { end: 'timed-out'; afterMs: number; output: CommandOutput }
  /** The connection went while it ran: it may have finished, failed or still run. */
  | { end: 'lost'; reason: string; output: CommandOutput }
  /** It never started. */
  | { end: 'unreachable'; reason: string };

export interface CommandOutput {
  stdout: string;
  stderr: string;
  /** True when a stream was longer than the limit; the first part and the end are kept. */
  truncated: boolean;
}

export interface CommandOptions {
  timeoutMs: number;
  signal: AbortSignal;
  /** Per stream. Default 64 kB. */
  maximumOutputBytes?: number;
}

/** Runs argv somewhere. Contract: never throws for what the world does, only for a bug or an aborted signal. */
export interface CommandRunner {
  run(argv: readonly string[], options: CommandOptions): Promise<CommandEnd>;
}
