import type { CommandEnd } from '#agents/runtime/command.ts';

/** The last words of sudo and of sudo-rs when they run nothing. Warnings such as "unable to resolve host" go on. */
const lastWords = /^sudo(?:-rs)?: .*(?:password is required|authentication is required|command not found)$/;

/**
 * What sudo said when it did not run the command, or undefined when it ran. It ends with 1 then (sudo(8), "Exit value"),
 * as many commands do.
 */
export function refusalBySudo(command: { sudo: boolean }, end: CommandEnd): string | undefined {
  if (!command.sudo || end.end !== 'exited' || end.code !== 1 || end.output.stdout !== '') return undefined;
  const last = end.output.stderr.trimEnd().split('\n').at(-1)?.trim() ?? '';
  return lastWords.test(last) ? last : undefined;
}
