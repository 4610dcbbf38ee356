import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { freeze } from '#bus/messages/freeze.ts';
import { toInstant } from '../runtime/clock.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { answerMs, withConsole } from './console.ts';

/** `lares freeze` and `lares unfreeze`: the kill switch of all remediation. */
export function addFreeze(program: Command): void {
  addCommand(program, {
    name: 'freeze',
    about: 'Stop all remediation at once; it stays stopped over restarts',
    options: [['--reason <text>', 'why', 'from the command line']],
    run: (context) => set(context, true),
  });
  addCommand(program, { name: 'unfreeze', about: 'Allow remediation again', run: (context) => set(context, false) });
}

async function set(context: CommandContext, frozen: boolean): Promise<number> {
  const by = `terminal:${userInfo().username}`;
  const state = { frozen, by, reason: context.option('reason') ?? 'from the command line', at: toInstant(Date.now()) };
  await withConsole(context, async (bus) => {
    bus.publish(freeze, state);
    await bus.flush(AbortSignal.timeout(answerMs));
  });
  if (context.json) context.printJson(state);
  else context.print(frozen ? 'Frozen: no step starts until "lares unfreeze".' : 'Unfrozen: approved plans may run.');
  return exitStatus.well;
}
