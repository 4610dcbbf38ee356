import { jsonOf, oneLine } from './text.ts';

/** One line of the journal. */
export interface JournalEntry {
  /** Epoch ms; 0 when it is not told. */
  at: number;
  cursor: string | undefined;
  /** Whole, and untrusted. */
  text: string;
  /** `time identifier[pid]: message`, bounded, for a person. */
  shown: string;
}

/** `journalctl -o json`: one object a line, oldest first. Broken lines are left out. */
export function parseEntries(text: string): JournalEntry[] {
  return text.split('\n').flatMap((line) => {
    const entry = objectOf(line);
    if (entry === undefined) return [];
    const at = timeOf(entry['__REALTIME_TIMESTAMP']);
    const name = entry['SYSLOG_IDENTIFIER'] ?? entry['_COMM'];
    const who = typeof name === 'string' ? oneLine(name, 60) : 'unknown';
    const pid = typeof entry['_PID'] === 'string' ? `[${oneLine(entry['_PID'], 10)}]` : '';
    const message = messageText(entry['MESSAGE']);
    const cursor = entry['__CURSOR'];
    return [
      {
        at,
        cursor: typeof cursor === 'string' ? cursor : undefined,
        text: message,
        shown: `${at === 0 ? '-' : new Date(at).toISOString()} ${who}${pid}: ${oneLine(message, 400)}`,
      },
    ];
  });
}

/** The lines as people read them. */
export function parseJournal(text: string): string[] {
  return parseEntries(text).map(({ shown }) => shown);
}

/** Undefined also for the last line of an output that was cut. */
function objectOf(line: string): Record<string, unknown> | undefined {
  return line.startsWith('{') ? (jsonOf(line) as Record<string, unknown> | undefined) : undefined;
}

/** A message that is no UTF-8 comes as an array of its bytes, one that is too long as null. */
function messageText(message: unknown): string {
  if (typeof message === 'string') return message;
  if (!Array.isArray(message)) return '(no text)';
  return Buffer.from(message.filter((byte) => typeof byte === 'number')).toString('utf8');
}

/** Microseconds since the epoch, as a string. */
function timeOf(microseconds: unknown): number {
  const ms = Math.floor(Number(microseconds) / 1_000);
  return Number.isFinite(ms) && ms > 0 && ms < 8.64e15 ? ms : 0;
}
