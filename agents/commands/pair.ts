import type { Command } from 'commander';
import { Failure } from '#bus/failure.ts';
import { openPeople, Role } from '#config/people.ts';
import { stateFolders } from '../state-folder.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { withConsole } from './console.ts';
import { pair } from './pairing.ts';

/** `lares pair`: a one-time link that makes whoever opens it a reader, an operator or an approver. */
export function addPair(program: Command): void {
  addCommand(program, {
    name: 'pair',
    about: 'Print a one-time link that adds a person on Telegram; it dies after 10 minutes or the first use',
    options: [['--role <role>', 'reader, operator or approver', 'approver']],
    run: pairOne,
  });
}

async function pairOne(context: CommandContext): Promise<number> {
  const role = Role.safeParse(context.option('role'));
  if (!role.success)
    throw new Failure('Cannot pair: --role must be reader, operator or approver', { recoverable: false });
  if (context.loaded.config.telegram === undefined) {
    throw new Failure('Cannot pair: the configuration has no telegram section', { recoverable: false });
  }
  const people = openPeople(context.loaded.config, stateFolders(context.loaded).root);
  const person = await withConsole(context, (bus) =>
    pair(bus, {
      role: role.data,
      people,
      signal: context.signal,
      onInvitation: (invitation) => {
        if (context.json) context.printJson(invitation);
        else
          context.print(
            `Open ${invitation.link ?? `the bot and send: /start ${invitation.nonce}`}\nIt works once, for 10 minutes.`,
          );
      },
    }),
  );
  if (context.json) context.printJson({ person: person ?? null });
  else
    context.print(person === undefined ? 'Nobody opened it.' : `${person.name} (${person.id}) is now ${person.role}.`);
  return person === undefined ? exitStatus.wrong : exitStatus.well;
}
