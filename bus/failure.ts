/**
 * Thrown when the world does not answer. A sick host, a failed step or a declined plan is an outcome and a value;
 * anything thrown that is not a Failure is a bug and ends the process.
 */
export class Failure extends Error {
  /** True when the same call may succeed later with nothing changed by a person. */
  readonly recoverable: boolean;

  constructor(message: string, options: { recoverable: boolean; cause?: unknown }) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.recoverable = options.recoverable;
  }
}

/** The code of a system error, `ENOENT` and its like. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The text of anything that was thrown, safe for a log line. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
