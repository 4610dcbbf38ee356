import type { CommandEnd } from '#agents/runtime/command.ts';
import { oneLine } from './text.ts';

/** What a look got from a command: its text, or why there is none. */
type CommandText = { ok: true; text: string } | { ok: false; reason: string };

/** The output of a command that ended with 0; anything else is the reason why nothing is known. */
export function readCommand(end: CommandEnd): CommandText {
  switch (end.end) {
    case 'exited':
      if (end.code === 0 && end.output.truncated) return { ok: false, reason: 'it printed more than is read' };
      if (end.code === 0) return { ok: true, text: end.output.stdout };
      return { ok: false, reason: exitReason(end.code, end.output.stderr) };
    case 'killed':
      return { ok: false, reason: `killed by ${end.signal}` };
    case 'timed-out':
      return { ok: false, reason: `no answer within ${end.afterMs / 1_000}s` };
    case 'lost':
      return { ok: false, reason: `connection lost: ${oneLine(end.reason, 200)}` };
    case 'unreachable':
      return { ok: false, reason: oneLine(end.reason, 300) };
  }
}

function exitReason(code: number, stderr: string): string {
  const said = oneLine(stderr, 200);
  return said === '' ? `it ended with status ${code}` : `it ended with status ${code}: ${said}`;
}
