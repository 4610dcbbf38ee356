import { type Logger, pino } from 'pino';
import { messageOf } from '#bus/failure.ts';
import { scrub } from '#bus/scrub.ts';

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & { child(bindings: object): Log };

const errorLevel = 50;
const memories = new WeakMap<object, { text?: string }>();

/** Structured logs on standard error, one JSON object a line; secrets are removed from the finished line. */
export function createLog(options: { level: string; name: string; destination?: NodeJS.WritableStream }): Log {
  const memory: { text?: string } = {};
  const log = pino(
    {
      level: options.level,
      base: { name: options.name },
      redact: {
        paths: ['password', 'token', 'apiKey', 'secret', '*.password', '*.token', '*.apiKey', '*.secret'],
        censor: '[redacted]',
      },
      hooks: {
        streamWrite: scrub,
        logMethod(parameters, method, level) {
          if (level >= errorLevel) memory.text = scrub(textOf(parameters)).slice(0, 600);
          method.apply(this, parameters);
        },
      },
    },
    options.destination ?? process.stderr,
  );
  memories.set(log, memory);
  return log;
}

/** The text of the last error that this log, its parent or one of its children wrote; secrets removed. */
export function lastErrorOf(log: Log): string | undefined {
  // pino makes a child with Object.create(parent), so the parents are the prototype chain.
  for (let at: object | null = log; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const memory = memories.get(at);
    if (memory !== undefined) return memory.text;
  }
  return undefined;
}

function textOf(parameters: readonly unknown[]): string {
  const [first, second] = parameters;
  if (typeof first === 'string') return first;
  const error =
    first instanceof Error ? first : first !== null && typeof first === 'object' && 'err' in first && first.err;
  return [second, error && messageOf(error)].filter((part) => typeof part === 'string' && part !== '').join(': ');
}
