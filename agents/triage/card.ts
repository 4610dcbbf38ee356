import type { Assessment } from '#bus/messages/assessment.ts';
import type { Finding } from '#bus/messages/finding.ts';
import type { Plan, PlannedProbe, PlannedStep } from '#bus/messages/plan.ts';
import type { Run } from '#bus/messages/run.ts';
import { commandLineOf } from '#agents/runtime/shell.ts';
import type { Button, Card, CardPlan } from './channel.ts';
import { type IncidentRecord, isOver } from './incident/incident.ts';
import { localTime } from './local-time.ts';
import { cut } from './render/visible.ts';
import { isSnoozed } from './notify/notify.ts';
import { type PlanFacts, canAskAgain, isDecidable, isExpired, isOpenPlan } from './plans/plan-state.ts';

interface CardFacts {
  incident: IncidentRecord;
  root: Finding | undefined;
  /** Undefined while one is awaited. */
  assessment: Assessment | undefined;
  planned: PlanFacts | undefined;
  /** Why the worker takes no approval, when that is known. */
  obstacle?: string | undefined;
  token: (action: Button['action'], plan?: string) => string;
  timeZone: string;
  now: number;
}

const maximumSymptoms = 6;
const maximumCause = 500;
/** Room for a line of sudoers. */
const maximumSaid = 500;
const activeRuns: ReadonlySet<Run['status']> = new Set(['queued', 'started', 'verifying', 'succeeded', 'rolled-back']);

/** The one message of an incident. */
export function buildCard(facts: CardFacts): Card {
  const { incident, planned } = facts;
  const over = isOver(incident);
  return {
    incident: incident.id,
    state: stateOf(facts),
    severity: incident.severity,
    title: incident.title,
    since: incident.startsAt,
    endedAt: incident.endsAt,
    why: whyOf(incident),
    evidence: (facts.root?.evidence ?? []).map(({ title, lines, truncated }) => ({
      title,
      lines: truncated > 0 ? [...lines, `(${truncated} lines left out)`] : lines,
    })),
    symptoms: symptomsOf(incident),
    assessment: over ? undefined : opinionOf(facts.assessment, headlined(incident)),
    plan: !over && planned !== undefined && isOpenPlan(planned, facts.now) ? cardPlan(planned.plan) : undefined,
    news: newsOf(facts),
    buttons: over ? [] : buttonsOf(facts),
  };
}

function stateOf(facts: CardFacts): string {
  const { incident } = facts;
  if (incident.mergedInto !== undefined) return 'merged';
  if (isOver(incident)) {
    return incident.fix.outcome === 'fixed' ? 'fixed' : 'resolved';
  }
  if (isFixing(facts)) return 'fixing';
  if (incident.fix.outcome === 'not-fixed' || incident.fix.outcome === 'worse') return 'not-fixed';
  if (isSnoozed(incident, facts.now)) return 'snoozed';
  return incident.acknowledgedBy === undefined ? 'firing' : 'acknowledged';
}

function isFixing({ incident, planned }: CardFacts): boolean {
  return planned?.run !== undefined && activeRuns.has(planned.run.status) && incident.fix.outcome === undefined;
}

/** What the root says of itself, where the headline holds it whole. */
function headlined(incident: IncidentRecord): string | undefined {
  const root = incident.members.find((member) => member.fingerprint === incident.root);
  return root !== undefined && incident.title.includes(root.summary) ? root.summary : undefined;
}

function whyOf(incident: IncidentRecord): string[] {
  const root = incident.members.find((member) => member.fingerprint === incident.root);
  if (root === undefined) return [];
  const why = `${root.why.charAt(0).toUpperCase()}${root.why.slice(1)} (${root.rule})`;
  return headlined(incident) === undefined ? [root.summary, why] : [why];
}

function symptomsOf(incident: IncidentRecord): string[] {
  const symptoms = incident.members.filter((member) => member.role === 'symptom');
  const firing = symptoms.filter((member) => member.status === 'firing');
  const shown = firing.slice(0, maximumSymptoms).map((member) => `${member.summary} (${member.rule})`);
  const more = firing.length - shown.length;
  const over = symptoms.length - firing.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : []), ...(over > 0 ? [`${over} over already`] : [])];
}

/** Without what the headline says already. */
function opinionOf(assessment: Assessment | undefined, headline: string | undefined): string {
  if (assessment === undefined) return 'Assessing…';
  if (assessment.source === 'none') return `No assessment: ${assessment.notAssessed ?? assessment.cause}`;
  const percent = `${Math.round(assessment.confidence * 100)} %`;
  const by =
    assessment.source === 'rules' ? 'by rule' : [assessment.provider, assessment.model].filter(Boolean).join(' ');
  const cause = headline === undefined ? assessment.cause : assessment.cause.replace(`: ${headline}`, '');
  return [
    // Whose opinion it is stands behind it, and must not be pushed off the card by its length.
    `${cut(cause, maximumCause)} (${by}, confidence ${percent})`,
    ...assessment.evidence
      .filter((line) => !assessment.cause.includes(line))
      .slice(0, 4)
      .map((line) => `· ${line}`),
    ...assessment.failovers.map(({ provider, reason }) => `Passed over ${provider}: ${reason}`),
    ...(assessment.costEuro > 0 ? [`Cost ${assessment.costEuro.toFixed(4)} €`] : []),
    ...(assessment.notAssessed === undefined ? [] : [assessment.notAssessed]),
  ].join('\n');
}

/** One command as it will run: argv is complete, `sudo -n` included, and nothing may be added to it. */
export function commandText(step: PlannedStep): string {
  return `${step.host}${step.sudo ? '#' : '$'} ${commandLineOf(step.argv)}`;
}

export function cardPlan(plan: Plan): CardPlan | undefined {
  if (plan.body === undefined || plan.digest === undefined) return undefined;
  const look = (when: string) => (step: PlannedProbe) => `${commandText(step)}   (${when}: ${step.states})`;
  const { body } = plan;
  return {
    id: plan.id,
    title: plan.title,
    risk: plan.risk,
    commands: body.steps.map(commandText),
    looks: [...[...body.preconditions, ...body.condition].map(look('before')), ...body.verification.map(look('after'))],
    rollback: body.rollback.map(commandText),
    digest: plan.digest,
    blastRadius: [...plan.blastRadius, ...plan.history.map((line) => `before: ${line}`)],
    expiresAt: Date.parse(plan.expiresAt),
  };
}

function newsOf({ incident, planned, obstacle, timeZone, now }: CardFacts): string[] {
  const news = incident.news.map(({ at, text }) => `${localTime(at, timeZone).time} ${text}`);
  if (isSnoozed(incident, now)) news.push(`Snoozed until ${localTime(incident.snoozedUntil ?? now, timeZone).time}`);
  if (planned === undefined) return news;
  return planned.run === undefined ? [...news, ...waitingOf(planned, obstacle)] : [...news, ...progressOf(planned.run)];
}

function waitingOf({ plan, approval }: PlanFacts, obstacle: string | undefined): string[] {
  if (approval?.decision !== 'approve' || (plan.status !== 'pending' && plan.status !== 'approved')) return [];
  // A line of its own for the command that mends it: a long line is cut.
  const [what, ...mends] = obstacle?.split('\n') ?? [];
  return [what === undefined ? 'Waiting for the worker' : `Waiting for the worker: ${what}`, ...mends];
}

/** Where a run is, step by step, with what a failed step said last; once all went well nothing is left to tell. */
function progressOf(run: Run): string[] {
  if (run.status === 'refused') return [];
  const told: ReadonlySet<string> = new Set(['waiting', 'skipped', ...(run.end === 'succeeded' ? ['succeeded'] : [])]);
  return run.steps
    .filter((step) => !told.has(step.status))
    .slice(-6)
    .flatMap((step) => {
      const line = `${step.host} ${step.id}: ${step.status}`;
      const isBad = step.status === 'failed' || step.status === 'timed-out' || step.status === 'unknown';
      // systemctl says why in its last line but one; the last says where to read more.
      const said = isBad ? (step.output ?? '').trim().split('\n').slice(-2) : [];
      return [line, ...said.filter((text) => text !== '').map((text) => `  ${cut(text, maximumSaid)}`)];
    });
}

function buttonsOf({ incident, planned, token, now }: CardFacts): Button[][] {
  const rows: Button[][] = [];
  const button = buttonMaker(token);
  if (planned !== undefined) {
    const { plan } = planned;
    if (canAskAgain(planned, now)) rows.push([button('ask-again', 'Ask again', plan.id)]);
    else if (isDecidable(planned, now)) rows.push(decisionButtons(plan, button));
  }
  const attention = [button('details', 'Details')];
  if (!isSnoozed(incident, now)) attention.unshift(button('snooze', 'Snooze 1 h'));
  if (incident.acknowledgedBy === undefined) attention.unshift(button('acknowledge', 'Acknowledge'));
  return [...rows, attention];
}

type MakeButton = (action: Button['action'], label: string, plan?: string) => Button;

function buttonMaker(token: CardFacts['token']): MakeButton {
  return (action, label, plan) => ({ action, label, token: token(action, plan) });
}

/** A plan that wants a stronger proof than a tap can only be rejected with one. */
function decisionButtons(plan: Plan, button: MakeButton): Button[] {
  const reject = button('reject', 'Reject', plan.id);
  if (plan.proof !== 'tap') return [reject];
  return [button('approve', 'Approve', plan.id), button('dry-run', 'Dry run', plan.id), reject];
}

/** The message of a run that a person asked for without an incident. */
export function buildRequestCard(
  facts: PlanFacts & {
    by: string;
    obstacle?: string | undefined;
    token: CardFacts['token'];
    timeZone: string;
    now: number;
  },
): Card {
  const { plan, run } = facts;
  return {
    incident: plan.proposal,
    state: run?.status ?? (isExpired(plan, facts.now) ? 'expired' : plan.status),
    severity: 'info',
    title: plan.title,
    since: Date.parse(plan.createdAt),
    endedAt: run?.endedAt === undefined ? undefined : Date.parse(run.endedAt),
    why: [`Asked for by ${facts.by}`, ...(plan.reason === undefined ? [] : [plan.reason])],
    evidence: [],
    symptoms: [],
    assessment: undefined,
    plan: isOpenPlan(facts, facts.now) ? cardPlan(plan) : undefined,
    news: requestNews(facts),
    buttons: isDecidable(facts, facts.now) ? [decisionButtons(plan, buttonMaker(facts.token))] : [],
  };
}

function requestNews({ plan, approval, run, obstacle }: PlanFacts & Pick<CardFacts, 'obstacle'>): string[] {
  const news: string[] = [];
  if (approval !== undefined)
    news.push(`${approval.decision === 'approve' ? 'Approved' : 'Rejected'} by ${approval.name}`);
  if (run === undefined) return [...news, ...waitingOf({ plan, approval, run }, obstacle)];
  return [...news, `Run ${run.status}${run.reason === undefined ? '' : `: ${run.reason}`}`, ...progressOf(run)];
}
