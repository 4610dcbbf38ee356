import { jsonOf, oneLine } from './text.ts';

/** `journalctl -o json`: one object a line, oldest first, as `time identifier[pid]: message`. Broken lines are left out. */
export function parseJournal(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const entry = objectOf(line);
    if (entry === undefined) return [];
    const time = timeOf(entry['__REALTIME_TIMESTAMP']);
    const name = entry['SYSLOG_IDENTIFIER'] ?? entry['_COMM'];
    const who = typeof name === 'string' ? oneLine(name, 60) : 'unknown';
    const pid = typeof entry['_PID'] === 'string' ? `[${oneLine(entry['_PID'], 10)}]` : '';
    return [`${time} ${who}${pid}: ${oneLine(messageText(entry['MESSAGE']), 400)}`];
  });
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
function timeOf(microseconds: unknown): string {
  const ms = Number(microseconds) / 1_000;
  return Number.isFinite(ms) && ms > 0 && ms < 8.64e15 ? new Date(ms).toISOString() : '-';
}
