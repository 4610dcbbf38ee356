import type { Command } from 'commander';
import { z } from 'zod';
import { Incident } from '#bus/messages/incident.ts';
import { visibleLine } from '../triage/render/visible.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { ask, withConsole } from './console.ts';

/** A listing has the first members of each; the answer about one has all. */
const Listing = z.object({ incidents: z.array(Incident), leftOut: z.number().default(0) });
const TimelineEntry = z.object({ at: z.string(), kind: z.string(), text: z.string() });
const Answer = z.object({ incident: Incident, timeline: z.array(TimelineEntry) });

/** `lares incidents [id]`: what is wrong now, or one incident with why each finding is where it is and what became of it. */
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
    for (const incident of incidents) context.print(line(incident));
    if (leftOut > 0) context.print(`and ${leftOut} more`);
  }
  return incidents.length === 0 ? exitStatus.well : exitStatus.wrong;
}

async function showOne(context: CommandContext, id: string): Promise<number> {
  const { incident, timeline } = Answer.parse(
    await withConsole(context, (bus) => ask(bus, context, { verb: 'incident', data: { id } })),
  );
  if (context.json) context.printJson({ ...incident, timeline });
  else {
    context.print(line(incident));
    for (const member of incident.members) {
      context.print(`  ${member.role === 'root' ? 'root   ' : 'symptom'} ${visibleLine(member.summary)}`);
      context.print(`          ${member.rule}: ${visibleLine(member.why)}`);
    }
    for (const { at, kind, text } of timeline) context.print(`  ${at} ${visibleLine(`${kind}: ${text}`)}`);
  }
  return incident.state === 'resolved' || incident.state === 'closed' ? exitStatus.well : exitStatus.wrong;
}

function line(incident: Incident): string {
  const flags = [
    incident.acknowledgedBy && `acknowledged by ${incident.acknowledgedBy}`,
    incident.snoozedUntil && `snoozed until ${incident.snoozedUntil}`,
  ];
  const note = flags.filter((flag) => flag !== undefined).join(', ');
  return `${incident.id}  ${incident.severity.padEnd(8)}  ${incident.startsAt}  ${visibleLine(incident.title)}${note && `  (${visibleLine(note)})`}`;
}
