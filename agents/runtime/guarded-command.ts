import type { Clock } from './clock.ts';
import type { CommandEnd, CommandRunner } from './command.ts';

/** How long a command that does not end on SIGTERM is left before SIGKILL, in seconds. */
export const killAfterSeconds = 5;

/**
 * `timeout -k` of coreutils around argv: the host itself ends the whole process group. Closing an SSH channel or even
 * the connection leaves the command running. Around `sudo` without `-k`: it passes SIGTERM on, but killed itself it
 * would leave what it runs behind, without a parent and without the time limit of sudoers.
 */
export function withTimeout(argv: readonly string[], timeoutMs: number): string[] {
  const kill = argv[0] === 'sudo' ? [] : ['-k', String(killAfterSeconds)];
  return ['timeout', ...kill, String(Math.max(1, Math.ceil(timeoutMs / 1_000))), ...argv];
}

/**
 * Whether `timeout` ended the command: it exits with 124, or, when SIGKILL was needed, dies of it together with its
 * group, which a shell in between tells as 137.
 */
export function saysTimedOut(
  end: Extract<CommandEnd, { end: 'exited' | 'killed' }>,
  took: { ms: number; timeoutMs: number },
): boolean {
  if (took.ms < took.timeoutMs) return false;
  return end.end === 'exited' ? end.code === 124 || end.code === 137 : end.signal.endsWith('KILL');
}

/** A runner whose commands end on the host when their time is up: for probes, where nobody looks for what is left. */
export function guarded(runner: CommandRunner, clock: Pick<Clock, 'now'>): CommandRunner {
  return {
    async run(argv, options) {
      const startedAt = clock.now();
      const end = await runner.run(withTimeout(argv, options.timeoutMs), {
        ...options,
        // The host's own clock comes first; this one is for hosts that went silent.
        timeoutMs: options.timeoutMs + (killAfterSeconds + 2) * 1_000,
      });
      if (end.end !== 'exited' && end.end !== 'killed') return end;
      const isLate = saysTimedOut(end, { ms: clock.now() - startedAt, timeoutMs: options.timeoutMs });
      return isLate ? { end: 'timed-out', afterMs: options.timeoutMs, output: end.output } : end;
    },
  };
}
