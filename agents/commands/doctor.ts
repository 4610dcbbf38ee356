import type { Command } from 'commander';
import { examine } from '../doctor/doctor.ts';
import { type Finding, findingLines } from '../doctor/finding.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';

/** `lares doctor`: what works, what does not, and the command that mends it. */
export function addDoctor(program: Command): void {
  addCommand(program, {
    name: 'doctor',
    about:
      'Say what works, what does not, and how to mend it: state, bus, agents, hosts, sources, intakes, heartbeats, Telegram, models',
    run: doctor,
  });
}

async function doctor(context: CommandContext): Promise<number> {
  const findings: Finding[] = [];
  for await (const finding of examine(context)) {
    findings.push(finding);
    if (!context.json) for (const line of findingLines(finding)) context.print(line);
  }
  if (context.json) context.printJson({ findings });
  return findings.every((finding) => finding.ok) ? exitStatus.well : exitStatus.wrong;
}
