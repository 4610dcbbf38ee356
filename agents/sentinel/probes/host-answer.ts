import type { CheckContext } from '#agents/sentinel/check.ts';
import { readCommand } from './command-reading.ts';
import { type Section, splitSections } from './sections.ts';
import { oneLine } from './text.ts';

/** What one script said about its host, part by part, or why nothing is known. */
export type HostAnswer = { ok: true; sections: ReadonlyMap<string, Section> } | { ok: false; reason: string };

/** Asks before the check's own time is up, so that a slow host is told as such. */
const sparedMs = 500;

/** Opens every script that prints parts: `part NAME COMMAND...` prints the section of a command. */
export const scriptHead = String.raw`
export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
set -f
has() { command -v "$1" >/dev/null 2>&1; }
limit() { if has timeout; then timeout -k 1 "$@"; else shift; "$@"; fi; }
part() { part_name=$1; shift; echo; echo "@@$part_name"; "$@" 2>&1; part_code=$?; echo; echo "@@end $part_name $part_code"; }
`;

/**
 * Runs one constant script whose values are arguments. A script that did not run to its end (its last part is `done`)
 * is no answer: a cut one would look like a host that lacks the rest.
 */
export async function askHost(
  context: Pick<CheckContext, 'probe' | 'timeoutMs' | 'signal'>,
  of: { script: string; values?: readonly string[]; maximumOutputBytes?: number; timeoutMs?: number },
): Promise<HostAnswer> {
  const end = await context.probe.run(
    ['sh', '-c', `${of.script}part done true\nexit 0\n`, 'sh', ...(of.values ?? [])],
    {
      timeoutMs: Math.min(of.timeoutMs ?? Number.MAX_SAFE_INTEGER, Math.max(1_000, context.timeoutMs - sparedMs)),
      signal: context.signal,
      maximumOutputBytes: of.maximumOutputBytes ?? 1_048_576,
    },
  );
  const answer = readCommand(end);
  if (!answer.ok) return answer;
  const sections = splitSections(answer.text);
  return sections.has('done') ? { ok: true, sections } : { ok: false, reason: 'the host did not run the script' };
}

/** The lines of a part that ended well and that are not blank; none when there is no such part. */
export function linesOf(sections: ReadonlyMap<string, Section>, name: string): string[] {
  return (sections.get(name)?.text ?? '').split('\n').filter((line) => line.trim() !== '');
}

/** Why a part that did not end well says nothing. */
export function partFailure(section: Section | undefined, command: string): string {
  if (section === undefined) return `${command} was not run`;
  if (section.code === 124 || section.code === 137) return `${command} took too long`;
  const said = oneLine(section.text.trim().split('\n').at(-1) ?? '', 200);
  return `${command} ended with status ${section.code}${said === '' ? '' : `: ${said}`}`;
}

/** `Key=Value` lines in blocks with blank lines between, as `systemctl show` prints. */
export function parseBlocks(text: string): Map<string, string>[] {
  return text
    .split(/\n\s*\n/)
    .map(
      (block) =>
        new Map(
          block.split('\n').flatMap((line) => {
            const at = line.indexOf('=');
            return at > 0 ? [[line.slice(0, at), line.slice(at + 1)] as const] : [];
          }),
        ),
    )
    .filter((block) => block.size > 0);
}
