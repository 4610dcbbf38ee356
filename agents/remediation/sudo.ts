import type { PlannedHost, PlannedStep } from '#bus/messages/plan.ts';
import type { CommandEnd } from '#agents/runtime/command.ts';
import { sudoersRuleOn } from '#agents/runtime/sudoers.ts';
import { plainCommand } from './commands.ts';
import type { Reach } from './reach.ts';

/** The last words of sudo and of sudo-rs when they run nothing. Warnings such as "unable to resolve host" go on. */
const notFound = /^sudo(?:-rs)?: .*command not found$/;
const notAllowed = /^sudo(?:-rs)?: .*(?:password|authentication) is required$/;
const maximumWords = 200;
/** A line of sudoers that is longer is no help on a card. */
const maximumRule = 1_000;

/**
 * What sudo said when it did not run the command, or undefined when it ran. It ends with 1 then (sudo(8), "Exit value"),
 * as many commands do.
 */
export function refusalBySudo(command: { sudo: boolean }, end: CommandEnd): string | undefined {
  if (!command.sudo || end.end !== 'exited' || end.code !== 1 || end.output.stdout !== '') return undefined;
  const last = end.output.stderr.trimEnd().split('\n').at(-1)?.trim() ?? '';
  if (!notFound.test(last) && !notAllowed.test(last)) return undefined;
  return last.replaceAll(/\p{C}/gu, '').slice(-maximumWords);
}

/** The same with the line of sudoers that would allow the command, where the host can be asked for it. */
export async function explainedRefusal(
  of: { command: Pick<PlannedStep, 'argv' | 'sudo'>; host: PlannedHost; end: CommandEnd },
  by: { reach: Pick<Reach, 'runner'>; signal: AbortSignal },
): Promise<string | undefined> {
  const refusal = refusalBySudo(of.command, of.end);
  if (refusal === undefined || !notAllowed.test(refusal)) return refusal;
  const rule = await sudoersRuleOn(by.reach.runner(of.host), {
    login: of.host.user,
    argv: plainCommand(of.command),
    signal: by.signal,
  });
  return rule === undefined || rule.length > maximumRule ? refusal : `${refusal}; to allow it, add to sudoers: ${rule}`;
}
