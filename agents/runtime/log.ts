import { type Logger, pino } from 'pino';
import { scrub } from './scrub.ts';

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & { child(bindings: object): Log };

/** Structured logs on standard error, one JSON object a line; secrets are removed from the finished line. */
export function createLog(options: { level: string; name: string; destination?: NodeJS.WritableStream }): Log {
  return pino(
    {
      level: options.level,
      base: { name: options.name },
      redact: { paths: ['*.password', '*.token', '*.apiKey', '*.secret'], censor: '[redacted]' },
      hooks: { streamWrite: scrub },
    },
    options.destination ?? process.stderr,
  );
}
