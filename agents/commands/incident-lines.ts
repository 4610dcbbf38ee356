import type { Incident } from '#bus/messages/incident.ts';
import type { Details } from '../triage/incident/details.ts';
import { exactLine, visibleLine } from '../triage/render/visible.ts';

export interface WholeIncident extends Details {
  incident: Incident;
  /** Oldest first. */
  timeline: readonly { at: string; kind: string; text: string }[];
}

/** One line of a listing. */
export function incidentLine(incident: Incident): string {
  const flags = [
    incident.acknowledgedBy && `acknowledged by ${incident.acknowledgedBy}`,
    incident.snoozedUntil && `snoozed until ${incident.snoozedUntil}`,
  ];
  const note = flags.filter((flag) => flag !== undefined).join(', ');
  return `${incident.id}  ${incident.severity.padEnd(8)}  ${incident.startsAt}  ${visibleLine(incident.title)}${note && `  (${visibleLine(note)})`}`;
}

/** All that is known of one incident, for a terminal. */
export function incidentLines({ incident, timeline, evidence, assessment, plan, run }: WholeIncident): string[] {
  const ended = incident.endsAt === undefined ? '' : `, ended ${incident.endsAt}`;
  return [
    incidentLine(incident),
    `  ${incident.state}${ended}`,
    ...incident.members.flatMap(memberLines),
    ...(assessment === undefined ? [] : assessmentLines(assessment)),
    ...(plan === undefined ? [] : planLines(plan)),
    ...(run === undefined ? [] : runLines(run)),
    ...evidence.flatMap(({ title, lines }) => ['', `  ${visibleLine(title)}`, ...indented(lines, 4)]),
    '',
    ...timeline.map(({ at, kind, text }) => `  ${at} ${visibleLine(`${kind}: ${text}`)}`),
  ];
}

function memberLines({ role, status, summary, rule, why }: Incident['members'][number]): string[] {
  const over = status === 'firing' ? '' : ' (over)';
  return [
    `  ${role === 'root' ? 'root   ' : 'symptom'} ${visibleLine(summary)}${over}`,
    `          ${rule}: ${visibleLine(why)}`,
  ];
}

function assessmentLines(assessment: NonNullable<Details['assessment']>): string[] {
  const { source, provider, model, cause, confidence, notAssessed } = assessment;
  if (source === 'none') return ['', `  not assessed: ${visibleLine(notAssessed ?? cause)}`];
  const by = source === 'rules' ? 'rules' : visibleLine([provider, model].filter(Boolean).join(' '));
  return ['', `  opinion of ${by}, confidence ${Math.round(confidence * 100)} %`, ...indented(cause.split('\n'), 4)];
}

function planLines({ id, title, risk, status, reason, commands }: NonNullable<Details['plan']>): string[] {
  const why = reason === undefined ? '' : `: ${reason}`;
  return [
    '',
    `  ${id} ${visibleLine(title)}, risk ${risk}, ${status}${visibleLine(why)}`,
    ...commands.map((command) => `    ${exactLine(command)}`),
  ];
}

function runLines({ id, status, end, reason, approver, steps }: NonNullable<Details['run']>): string[] {
  const how = [
    end === undefined || end === status ? status : `${end}, ${status}`,
    approver && `approved by ${approver}`,
  ];
  const why = reason === undefined ? '' : `: ${reason}`;
  return [
    '',
    `  ${id} ${visibleLine(`${how.filter(Boolean).join(', ')}${why}`)}`,
    ...steps.flatMap((step) => {
      const exit = step.exitStatus === undefined || step.exitStatus === 0 ? '' : `, exit status ${step.exitStatus}`;
      const said = (step.output ?? '').trim();
      return [
        `    ${step.host} ${step.id}: ${step.status}${exit}`,
        ...indented(said === '' ? [] : said.split('\n'), 6),
      ];
    }),
  ];
}

function indented(lines: readonly string[], by: number): string[] {
  return lines.map((line) => `${' '.repeat(by)}${visibleLine(line)}`);
}
