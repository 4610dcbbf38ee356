import type { Command } from 'commander';
import { z } from 'zod';
import { visibleLine } from '../triage/render/visible.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { ask, withConsole } from './console.ts';

const Answer = z.object({ text: z.string() });

/** `lares digest`: the nightly digest, now. */
export function addDigest(program: Command): void {
  addCommand(program, {
    name: 'digest',
    about: 'Print the digest of the last day: incidents, verdicts, what was checked and what was not, cost',
    run: digest,
  });
}

async function digest(context: CommandContext): Promise<number> {
  const { text } = Answer.parse(await withConsole(context, (bus) => ask(bus, context, { verb: 'digest', data: {} })));
  if (context.json) context.printJson({ text });
  else for (const line of text.split('\n')) context.print(visibleLine(line));
  return exitStatus.well;
}
