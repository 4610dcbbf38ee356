import { linesOf } from './host-answer.ts';
import type { Section } from './sections.ts';

export interface HostProcess {
  pid: number;
  /** At most 15 characters: the kernel keeps no more. */
  name: string;
  /** `Z` is a zombie. */
  state: string;
  /** The command line with blanks between arguments. Holds passwords: it is matched and never shown. */
  command: string;
  memoryBytes: number;
  /** Seconds of CPU since it started. */
  cpuSeconds: number;
  ageSeconds: number;
}

type Sections = ReadonlyMap<string, Section>;

/** `/proc/*\/stat` and `/proc/*\/cmdline` of all processes, as the script of the kind `process` prints them. */
export function parseProcesses(sections: Sections): HostProcess[] | undefined {
  const [ticks = '', pageSize = ''] = linesOf(sections, 'units')[0]?.split(' ') ?? [];
  const uptime = Number.parseFloat(linesOf(sections, 'uptime')[0] ?? '');
  const [perSecond, page] = [Number(ticks), Number(pageSize)];
  if (!(perSecond > 0 && page > 0 && uptime > 0)) return undefined;
  const commands = commandLines(linesOf(sections, 'commands'));
  return linesOf(sections, 'stats').flatMap((line) => {
    // The name stands in parentheses and may hold blanks and parentheses itself.
    const match = /^(\d+) \((.*)\) (\S) (.*)$/.exec(line);
    if (match === null) return [];
    const [, pid = '', name = '', state = '', rest = ''] = match;
    const fields = rest.split(' ').map(Number);
    // proc_pid_stat(5): the state is field 3, utime 14, stime 15, starttime 22 and rss 24.
    const of = (field: number): number => fields[field - 4] ?? 0;
    return [
      {
        pid: Number(pid),
        name,
        state,
        command: commands.get(pid) ?? '',
        memoryBytes: of(24) * page,
        cpuSeconds: (of(14) + of(15)) / perSecond,
        ageSeconds: Math.max(0, uptime - of(22) / perSecond),
      },
    ];
  });
}

/** `/proc/7/cmdline:nginx: master`; an argument with a newline comes as another line of the same file. */
function commandLines(lines: readonly string[]): Map<string, string> {
  const commands = new Map<string, string>();
  for (const line of lines) {
    const match = /^\/proc\/(\d+)\/cmdline:(.*)$/.exec(line);
    const [, pid, text = ''] = match ?? [];
    if (pid === undefined) continue;
    const before = commands.get(pid);
    commands.set(pid, before === undefined ? text.trim() : `${before} ${text.trim()}`.slice(0, 2_000));
  }
  return commands;
}

/** Whether a process goes by that name: of the kernel, which cuts it, or of the file it was started from. */
export function goesBy(process: HostProcess, name: string): boolean {
  if (process.name === name.slice(0, 15)) return true;
  const [program = ''] = process.command.split(' ');
  return program.split('/').at(-1) === name;
}

/** A program that runs although its file is another one now, or none any more. */
export interface LostBinary {
  pid: number;
  path: string;
  /** Nothing is there any more: the package was removed. Otherwise it was replaced. */
  isGone: boolean;
  unit: string;
}

/** Lines `gone|replaced PID UNIT PATH`. */
export function parseLost(lines: readonly string[]): LostBinary[] {
  return lines.slice(0, 200).flatMap((line) => {
    const match = /^(gone|replaced) (\d+) (\S+) (\/.*)$/.exec(line);
    if (match === null) return [];
    return [{ isGone: match[1] === 'gone', pid: Number(match[2]), unit: match[3] ?? '-', path: match[4] ?? '' }];
  });
}
