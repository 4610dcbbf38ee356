import type { CommandRunner } from './command.ts';

/** How long a command that does not end on SIGTERM is left before SIGKILL, in seconds. */
export const killAfterSeconds = 5;

/**
 * `timeout -k` of coreutils around argv: the host itself ends the whole process group. Closing an SSH channel or even
 * the connection leaves the command running.
 */
export function withTimeout(argv: readonly string[], timeoutMs: number): string[] {
  return ['timeout', '-k', String(killAfterSeconds), String(Math.max(1, Math.ceil(timeoutMs / 1_000))), ...argv];
}

/** Whether an exit status is how `timeout` says that time was up: 124, or 137 when SIGKILL was needed. */
export function saysTimedOut(code: number, took: { ms: number; timeoutMs: number }): boolean {
  return (code === 124 || code === 137) && took.ms >= took.timeoutMs;
}

/** A runner whose commands end on the host when their time is up: for probes, where nobody looks for what is left. */
export function guarded(runner: CommandRunner): CommandRunner {
  return {
    async run(argv, options) {
      const end = await runner.run(withTimeout(argv, options.timeoutMs), {
        ...options,
        // The host's own clock comes first; this one is for hosts that went silent.
        timeoutMs: options.timeoutMs + 2_000,
      });
      if (end.end !== 'exited' || end.code !== 124) return end;
      return { end: 'timed-out', afterMs: options.timeoutMs, output: end.output };
    },
  };
}
