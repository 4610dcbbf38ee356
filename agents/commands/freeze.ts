import type { Command } from 'commander';
import { type Freeze, freeze } from '#bus/messages/freeze.ts';
import { signThaw } from '#bus/sign.ts';
import { toInstant } from '../runtime/clock.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { answerMs, ask, withConsole } from './console.ts';
import { consoleSigner, personHere } from './person.ts';

/** `lares freeze` and `lares unfreeze`: the kill switch of all remediation. */
export function addFreeze(program: Command): void {
  addCommand(program, {
    name: 'freeze',
    about: 'Stop all remediation at once; it stays stopped over restarts',
    options: [['--reason <text>', 'why', 'from the command line']],
    run: setFrozen,
  });
  addCommand(program, { name: 'unfreeze', about: 'Allow remediation again', run: thaw });
}

async function setFrozen(context: CommandContext): Promise<number> {
  const state: Freeze = { frozen: true, ...wordOf(context) };
  await withConsole(context, async (bus) => {
    bus.publish(freeze, state);
    await bus.flush(AbortSignal.timeout(answerMs));
  });
  if (context.json) context.printJson(state);
  else context.print('Frozen: no step starts until "lares unfreeze".');
  return exitStatus.well;
}

/** Done when the worker says so; a thaw that does not count there is a Failure in its words. */
async function thaw(context: CommandContext): Promise<number> {
  const word = wordOf(context);
  await withConsole(context, (bus) =>
    ask(bus, context, { verb: 'thaw', data: signThaw(word, consoleSigner(context)) }),
  );
  if (context.json) context.printJson({ frozen: false, ...word });
  else context.print('Unfrozen, says the worker: approved plans may run.');
  return exitStatus.well;
}

function wordOf(context: CommandContext): Pick<Freeze, 'by' | 'reason' | 'at'> {
  const reason = context.option('reason') ?? 'from the command line';
  return { by: personHere(), reason, at: toInstant(Date.now()) };
}
