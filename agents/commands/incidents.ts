import type { Command } from 'commander';
import { z } from 'zod';
import { Failure } from '#bus/failure.ts';
import { Incident } from '#bus/messages/incident.ts';
import { visibleLine } from '../triage/render/visible.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { ask, withConsole } from './console.ts';

const Listing = z.object({ incidents: z.array(Incident) });

/** `lares incidents [id]`: what is wrong now, or one incident with why each finding is where it is. */
export function addIncidents(program: Command): void {
  addCommand(program, {
    name: 'incidents',
    about: 'Show the open incidents, or one of them whole',
    arguments: [['[id]', 'identity of an incident']],
    run: show,
  });
}

async function show(context: CommandContext): Promise<number> {
  const id = context.arguments[0];
  const { incidents } = Listing.parse(
    await withConsole(context, (bus) => ask(bus, context, { verb: 'incidents', data: {} })),
  );
  if (id !== undefined)
    return showOne(
      context,
      incidents.find((incident) => incident.id === id),
      id,
    );
  if (context.json) context.printJson({ incidents });
  else if (incidents.length === 0) context.print('No open incidents.');
  else for (const incident of incidents) context.print(line(incident));
  return incidents.length === 0 ? exitStatus.well : exitStatus.wrong;
}

function showOne(context: CommandContext, incident: Incident | undefined, id: string): number {
  if (incident === undefined)
    throw new Failure(`Cannot show incident "${visibleLine(id)}": it is not open`, { recoverable: false });
  if (context.json) context.printJson(incident);
  else {
    context.print(line(incident));
    for (const member of incident.members) {
      context.print(`  ${member.role === 'root' ? 'root   ' : 'symptom'} ${visibleLine(member.summary)}`);
      context.print(`          ${member.rule}: ${visibleLine(member.why)}`);
    }
  }
  return exitStatus.wrong;
}

function line(incident: Incident): string {
  const flags = [
    incident.acknowledgedBy && `acknowledged by ${incident.acknowledgedBy}`,
    incident.snoozedUntil && `snoozed until ${incident.snoozedUntil}`,
  ];
  const note = flags.filter((flag) => flag !== undefined).join(', ');
  return `${incident.id}  ${incident.severity.padEnd(8)}  ${incident.startsAt}  ${visibleLine(incident.title)}${note && `  (${visibleLine(note)})`}`;
}
