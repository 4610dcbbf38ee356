import type { Command } from 'commander';
import { z } from 'zod';
import { signOrder } from '#bus/order.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { ask, withConsole } from './console.ts';
import { consoleSigner, personHere } from './person.ts';

/** `lares release` and `lares unblock`: a person's word that lets the worker go on where it stopped by itself. */
export function addOrders(program: Command): void {
  addCommand(program, {
    name: 'release',
    about: 'Free the hosts of a run whose end nobody knows, after you looked at them yourself',
    arguments: [['<run>', 'identity of the run']],
    run: release,
  });
  addCommand(program, {
    name: 'unblock',
    about: 'Allow a playbook again where it did not help',
    arguments: [['<playbook>', 'identity of the playbook']],
    options: [['--host <name>', 'only on this host; default: wherever it is blocked']],
    run: unblock,
  });
}

async function release(context: CommandContext): Promise<number> {
  const [run = ''] = context.arguments;
  const answer = await order(context, 'release', { run });
  if (context.json) context.printJson(answer);
  else context.print(`Released: plans for the hosts of ${run} may run again.`);
  return exitStatus.well;
}

async function unblock(context: CommandContext): Promise<number> {
  const [playbook = ''] = context.arguments;
  const host = context.option('host');
  const answer = await order(context, 'unblock', { playbook, ...(host !== undefined && { host }) });
  const { removed } = z.object({ removed: z.number() }).parse(answer);
  if (context.json) context.printJson({ removed });
  else context.print(removed === 0 ? 'It was not blocked there.' : `Unblocked: "${playbook}" may be planned again.`);
  return removed === 0 ? exitStatus.wrong : exitStatus.well;
}

function order(context: CommandContext, verb: string, data: Record<string, string>): Promise<Record<string, unknown>> {
  return withConsole(context, (bus) => {
    const signed = signOrder({ verb, data, by: personHere(), at: Date.now() }, consoleSigner(context));
    return ask(bus, context, { verb, data: signed });
  });
}
