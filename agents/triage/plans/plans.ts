import { digestOf } from '#bus/canonical.ts';
import type { Plan } from '#bus/messages/plan.ts';
import { type Run, RunStatus } from '#bus/messages/run.ts';
import type { Verdict } from '#bus/messages/verdict.ts';
import type { Desk } from '../desk.ts';
import type { IncidentRecord } from '../incident/incident.ts';
import { settleFindings } from '../intake/findings.ts';
import { isSilenced } from '../notify/notify.ts';
import { showRequest } from '../present.ts';
import { targetsOf } from './target.ts';

const decided: ReadonlySet<Plan['status']> = new Set(['refused', 'withdrawn', 'expired', 'approved', 'rejected']);

/** Takes a plan from the worker. One whose digest does not match its body is never shown, whoever sent it. */
export function takePlan(desk: Desk, plan: Plan): void {
  const before = desk.store.plans.plan(plan.id);
  if (before !== undefined && isOldNews(before, plan)) return;
  const fault = faultOf(plan, before);
  if (fault !== undefined) return refusePlan(desk, plan, fault);
  desk.store.plans.savePlan(plan);
  desk.store.plans.endProposal(plan.proposal, 'planned');
  if (decided.has(plan.status) && plan.status !== 'approved') desk.store.plans.endApproval(plan.id);
  const incident = plan.incident === undefined ? undefined : desk.world.incident(plan.incident);
  if (incident === undefined) return showRequest(desk, plan.id);
  if (plan.status === 'pending') desk.change(incident.id, { type: 'fix', fix: { plan: plan.id } });
  const news = newsOfPlan(plan);
  if (news !== undefined) desk.change(incident.id, { type: 'noted', text: news });
  desk.dirty.add(incident.id);
}

function isOldNews(before: Plan, plan: Plan): boolean {
  return before.status === plan.status || (decided.has(before.status) && plan.status === 'pending');
}

function refusePlan(desk: Desk, plan: Plan, fault: string): void {
  desk.journal('plan-refused', plan.id, { why: fault, proposal: plan.proposal });
  desk.log.error({ plan: plan.id, why: fault }, 'a plan is not shown');
  if (plan.incident === undefined) return;
  desk.change(plan.incident, { type: 'noted', text: `A plan was not shown: ${fault}` });
}

function faultOf(plan: Plan, before: Plan | undefined): string | undefined {
  if (plan.body === undefined || plan.digest === undefined) {
    return plan.status === 'pending' ? 'it has no commands' : undefined;
  }
  if (digestOf(plan.body) !== plan.digest) return 'its digest does not match its commands';
  if (plan.body.playbook !== plan.playbook) return 'its commands are of another playbook';
  return before?.digest !== undefined && before.digest !== plan.digest ? 'its commands changed' : undefined;
}

function newsOfPlan(plan: Plan): string | undefined {
  const reason = plan.reason === undefined ? '' : `: ${plan.reason}`;
  switch (plan.status) {
    case 'pending':
      return `Proposed: ${plan.title}`;
    case 'refused':
      return `Cannot plan "${plan.playbook}"${reason}`;
    case 'withdrawn':
      return `Plan withdrawn${reason}`;
    case 'expired':
      return 'Plan expired without a decision';
    case 'approved':
    case 'rejected':
      // Who decided it was said when it was decided.
      return undefined;
    default:
      return plan.status satisfies never;
  }
}

/** Takes the progress of a run; older news of it than is known changes nothing. */
export function takeRun(desk: Desk, run: Run): void {
  const before = desk.store.plans.run(run.id);
  if (before !== undefined && isOlder(run, before)) return;
  desk.store.plans.saveRun(run);
  if (isAnswer(desk, run)) desk.store.plans.endApproval(run.plan);
  const incident = desk.world.incident(run.incident ?? desk.store.plans.plan(run.plan)?.incident ?? '');
  if (incident === undefined) return showRequest(desk, run.plan);
  if (incident.fix.run !== run.id) desk.change(incident.id, { type: 'fix', fix: { plan: run.plan, run: run.id } });
  const news = before?.status === run.status ? undefined : newsOfRun(run);
  if (news !== undefined) desk.change(incident.id, { type: 'noted', text: news });
  desk.dirty.add(incident.id);
}

/** By its time; within one millisecond, or by a clock that was set back in between, by how far the run is. */
function isOlder(run: Run, than: Run): boolean {
  const [time, known] = [Date.parse(run.updatedAt), Date.parse(than.updatedAt)];
  const further = RunStatus.options.indexOf(run.status) - RunStatus.options.indexOf(than.status);
  return time === known ? further < 0 : time < known && further <= 0;
}

/** A run says that its plan needs no approval any more. A refusal ends only the approval that it names. */
function isAnswer(desk: Desk, run: Run): boolean {
  return run.status !== 'refused' || run.approval === desk.store.plans.approvalOf(run.plan)?.id;
}

function newsOfRun(run: Run): string | undefined {
  const reason = run.reason === undefined ? '' : `: ${run.reason}`;
  switch (run.status) {
    case 'queued':
    case 'verified':
      return undefined;
    case 'started':
      return `Run started: ${run.playbook} on ${run.hosts.join(', ')}`;
    case 'verifying':
      return 'Sentinel looks again';
    case 'refused':
      return `Not run${reason}`;
    case 'unknown':
      return `Nobody knows how the run ended${reason}. It is not repeated by itself`;
    case 'succeeded':
    case 'failed':
    case 'timed-out':
    case 'rolled-back':
      return `Commands ${run.status}${reason}`;
    default:
      return run.status satisfies never;
  }
}

/** Takes sentinel's measured outcome, once. */
export function takeVerdict(desk: Desk, verdict: Verdict): void {
  if (!desk.store.plans.saveVerdict(verdict)) return;
  const run = desk.store.plans.run(verdict.run);
  desk.journal('verdict', verdict.run, { outcome: verdict.outcome, incident: verdict.incident ?? null });
  const incident = desk.world.incident(verdict.incident ?? run?.incident ?? '');
  if (incident === undefined) {
    if (run !== undefined) showRequest(desk, run.plan);
    return;
  }
  const fix = {
    ...incident.fix,
    run: verdict.run,
    ...(run !== undefined && { plan: run.plan }),
    outcome: verdict.outcome,
  };
  if (verdict.outcome === 'fixed') {
    desk.change(incident.id, { type: 'fix', fix });
    desk.change(incident.id, { type: 'noted', text: `Fixed: the check that raised it is good again` });
    const good = verdict.checks.filter((check) => check.ok === true).map((check) => check.fingerprint);
    settleFindings(desk, good, desk.now);
    return;
  }
  if (verdict.outcome !== 'unknown') disappoint(desk, incident, { verdict, run });
  desk.change(incident.id, { type: 'fix', fix });
  announce(desk, incident.id, verdict);
}

/** The run changed nothing for the better: the incident is open, and that playbook is not proposed there again. */
function disappoint(desk: Desk, incident: IncidentRecord, what: { verdict: Verdict; run: Run | undefined }): void {
  const { verdict, run } = what;
  if (run !== undefined) {
    desk.store.incidents.block(run.playbook, targetsOfRun(desk, run), { incident: incident.id, at: desk.now });
  }
  const failed = verdict.checks.find((check) => check.ok === false)?.summary;
  const text =
    verdict.outcome === 'worse'
      ? `Worse after the run: ${failed ?? 'something critical began on its hosts after it'}`
      : `Not fixed: ${failed ?? 'the check is as bad as before'}`;
  desk.change(incident.id, { type: 'reopened', why: text });
  const reopened = desk.world.incident(incident.id);
  if (reopened?.told === undefined) return;
  // The verdict's own notice says it; the reopening is no second piece of news.
  desk.change(incident.id, { type: 'told', told: { ...reopened.told, state: 'open' } });
}

function targetsOfRun(desk: Desk, run: Run): string[] {
  const plan = desk.store.plans.plan(run.plan);
  const asked = plan && desk.store.plans.proposal(plan.proposal);
  return targetsOf(run.hosts, asked?.parameters ?? plan?.body?.parameters ?? {});
}

function announce(desk: Desk, id: string, verdict: Verdict): void {
  const incident = desk.world.incident(id);
  if (incident?.told === undefined) return;
  const sound = verdict.outcome !== 'unknown' && !isSilenced(incident, desk.config.triage, desk.now);
  const words =
    verdict.outcome === 'unknown'
      ? 'Nobody could see whether it is fixed'
      : verdict.outcome === 'worse'
        ? 'Worse after the run'
        : 'Not fixed';
  if (verdict.outcome === 'unknown') desk.change(id, { type: 'noted', text: words });
  desk.store.incidents.logNotification(id, { at: desk.now, reason: 'verdict', sound });
  desk.outbox.notice(`verdict:${verdict.run}`, { type: 'notice', text: `${words}: ${incident.title}`, silent: !sound });
}
