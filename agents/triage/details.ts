import type { Run } from '#bus/messages/run.ts';
import { commandText } from './card.ts';
import type { Desk } from './desk.ts';
import { Details } from './incident/details.ts';
import type { IncidentRecord } from './incident/incident.ts';
import { dayAndTime } from './local-time.ts';
import { oneMessage, planFacts } from './present.ts';

const roomBytes = 60_000;
const commandCharacters = 1_000;
const outputCharacters = 2_000;
/** Of what a step said, in a message. */
const saidLines = 12;

/** What the store knows of an incident, cut to what fits into one answer: what ran, what would run, what was seen. */
export function detailsOf(desk: Desk, incident: IncidentRecord): Details {
  const { plan, run } = planFacts(desk, incident.fix.plan) ?? {};
  const room = { left: roomBytes };
  return Details.parse({
    assessment: desk.store.incidents.assessment(incident.id)?.assessment,
    run: run && { ...run, steps: fitting(run.steps.map(shortened), room) },
    plan: plan && {
      ...plan,
      commands: fitting(plan.body?.steps.map((step) => commandText(step).slice(0, commandCharacters)) ?? [], room),
    },
    evidence: fitting(desk.store.findings.newest(incident.root)?.finding.evidence ?? [], room),
  });
}

/** Everything that is known of an incident, as one message: what ran stands before what may be cut. */
export function detailsText(desk: Desk, incident: IncidentRecord): string {
  const zone = desk.config.digest.timezone;
  const { run, evidence } = detailsOf(desk, incident);
  const members = incident.members.slice(0, 30).map((member) => {
    const state = member.status === 'firing' ? '' : ' (over)';
    return `${member.role === 'root' ? 'ROOT' : '  - '} ${member.summary}${state}\n     ${member.rule}: ${member.why}`;
  });
  const more = incident.members.length - members.length;
  const timeline = desk.store.incidents
    .timeline(incident.id, 20)
    .map(({ at, text }) => `${dayAndTime(at, zone).slice('YYYY-'.length)} ${text}`);
  const text = [
    `${incident.id} ${incident.state}: ${incident.title}`,
    '',
    ...members,
    ...(more > 0 ? [`  and ${more} more`] : []),
    ...(run?.steps ?? []).flatMap(stepLines),
    '',
    ...timeline,
    ...evidence.flatMap(({ title, lines }) => ['', title, ...lines.map((line) => `  ${line}`)]),
  ].join('\n');
  return oneMessage(text);
}

/** A step that went well says nothing here. */
function stepLines({ host, id, status, exitStatus, output = '' }: Run['steps'][number]): string[] {
  if (status === 'succeeded' || status === 'waiting' || status === 'skipped') return [];
  const exit = exitStatus === undefined ? '' : `, exit status ${exitStatus}`;
  const said = output.trim().split('\n').slice(-saidLines);
  return ['', `${host} ${id}: ${status}${exit}`, ...said.map((line) => `  ${line}`)];
}

function shortened(step: Run['steps'][number]): Run['steps'][number] {
  const { command, output } = step;
  return {
    ...step,
    command: command.slice(0, commandCharacters),
    ...(output !== undefined && { output: output.slice(0, outputCharacters) }),
  };
}

/** Those for which there is room. */
function fitting<T>(items: readonly T[], room: { left: number }): T[] {
  return items.filter((item) => {
    const size = Buffer.byteLength(JSON.stringify(item)) + 1;
    if (size > room.left) return false;
    room.left -= size;
    return true;
  });
}
