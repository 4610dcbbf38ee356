import type { Command } from 'commander';
import { z } from 'zod';
import { Incident } from '#bus/messages/incident.ts';
import { Details } from '../triage/incident/details.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { ask, withConsole } from './console.ts';
import { incidentLine, incidentLines } from './incident-lines.ts';

/** A listing has the first members of each; the answer about one has all. */
const Listing = z.object({ incidents: z.array(Incident), leftOut: z.number().default(0) });
const TimelineEntry = z.object({ at: z.string(), kind: z.string(), text: z.string() });
const Answer = Details.extend({ incident: Incident, timeline: z.array(TimelineEntry) });

/** `lares incidents [id]`: what is wrong now, or all that is known of one: why each finding is where it is, what was done. */
export function addIncidents(program: Command): void {
  addCommand(program, {
    name: 'incidents',
    about: 'Show the open incidents, or one of them whole',
    arguments: [['[id]', 'identity of an incident']],
    run: (context) => {
      const [id] = context.arguments;
      return id === undefined ? showAll(context) : showOne(context, id);
    },
  });
}

async function showAll(context: CommandContext): Promise<number> {
  const { incidents, leftOut } = Listing.parse(
    await withConsole(context, (bus) => ask(bus, context, { verb: 'incidents', data: {} })),
  );
  if (context.json) context.printJson({ incidents, ...(leftOut > 0 && { leftOut }) });
  else if (incidents.length === 0) context.print('No open incidents.');
  else {
    for (const incident of incidents) context.print(incidentLine(incident));
    if (leftOut > 0) context.print(`and ${leftOut} more`);
  }
  return incidents.length === 0 ? exitStatus.well : exitStatus.wrong;
}

async function showOne(context: CommandContext, id: string): Promise<number> {
  const whole = Answer.parse(
    await withConsole(context, (bus) => ask(bus, context, { verb: 'incident', data: { id } })),
  );
  const { incident, ...rest } = whole;
  if (context.json) context.printJson({ ...incident, ...rest });
  else for (const line of incidentLines(whole)) context.print(line);
  return incident.state === 'resolved' || incident.state === 'closed' ? exitStatus.well : exitStatus.wrong;
}
