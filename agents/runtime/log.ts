import { fstatSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { messageOf } from '#bus/failure.ts';
import { scrub } from '#bus/scrub.ts';

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & { child(bindings: object): Log };

const errorLevel = 50;
const memories = new WeakMap<object, { text?: string }>();

interface LogOptions {
  level: string;
  name: string;
  /** Default: standard error. */
  destination?: NodeJS.WritableStream;
  /** Whether journald reads it; by default it is asked of systemd. */
  toJournal?: boolean;
}

/**
 * Structured logs on standard error, one JSON object a line; secrets are removed from the finished line. Where journald
 * reads it, each line begins with its priority, so that `journalctl -p warning` finds what is one.
 */
export function createLog(options: LogOptions): Log {
  const { toJournal = options.destination === undefined && isJournal(process.stderr.fd) } = options;
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
        streamWrite: toJournal ? (line) => priorityOf(line) + scrub(line) : scrub,
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

/** systemd names device and inode of the socket that it gave, systemd.exec(5): a shell below it may have another one. */
function isJournal(descriptor: number): boolean {
  const named = process.env['JOURNAL_STREAM'];
  if (named === undefined) return false;
  const { dev, ino } = fstatSync(descriptor);
  return named === `${dev}:${ino}`;
}

/** Levels of pino as priorities of sd-daemon(3). */
const priorities: Record<string, string> = { 10: '<7>', 20: '<7>', 30: '<6>', 40: '<4>', 50: '<3>', 60: '<2>' };

function priorityOf(line: string): string {
  return priorities[/^\{"level":(\d+)/.exec(line)?.[1] ?? ''] ?? '';
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
