import type { Command } from 'commander';
import { z } from 'zod';
import { Incident } from '#bus/messages/incident.ts';
import { firingIn, resolvedText } from '../triage/people/resolve.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { ask, withConsole } from './console.ts';
import { personHere } from './person.ts';

const Asked = z.object({ incident: Incident });

/** `lares resolve <incident>`: for senders that never say that an alert is over. */
export function addResolve(program: Command): void {
  addCommand(program, {
    name: 'resolve',
    about: 'Say that what other programs reported is over; what Lares sees itself ends when it is well',
    arguments: [['<incident>', 'identity of the incident']],
    run: resolve,
  });
}

async function resolve(context: CommandContext): Promise<number> {
  const [id = ''] = context.arguments;
  const answer = await withConsole(context, async (bus) => {
    const { incident } = Asked.parse(await ask(bus, context, { verb: 'incident', data: { id } }));
    const data = { fingerprints: firingIn(incident), by: personHere() };
    return ask(bus, context, { verb: 'resolve', data });
  });
  if (context.json) context.printJson(answer);
  else context.print(resolvedText(answer));
  return answer['resolved'] === 0 ? exitStatus.wrong : exitStatus.well;
}
